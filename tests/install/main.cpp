#include <iostream>

#include "kvplace/base/parse.h"

int main(int argc, char** argv) {
  const kvplace::Result<kvplace::Bytes> size = kvplace::parse_bytes(argc > 1 ? argv[1] : "");
  if (!size) {
    std::cerr << size.error().message << '\n';
    return 2;
  }
  std::cout << size->value() << '\n';
  return 0;
}
