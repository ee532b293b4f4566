#include "bound/fraction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvplace {
namespace {

constexpr int kSignificantDigits = 18;
constexpr int kSignificantBits = 53;

std::string to_text(UInt128 number) {
  std::string digits;
  do {
    digits += static_cast<char>('0' + static_cast<int>(number % 10));
    number /= 10;
  } while (number != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace

std::string exact_text(const Fraction& fraction) {
  // One step of Euclid's algorithm makes both numbers 64 bits wide.
  const auto rest = static_cast<std::uint64_t>(fraction.numerator % fraction.denominator);
  const std::uint64_t divisor = std::gcd(rest, fraction.denominator);
  return to_text(fraction.numerator / divisor) + "/" + to_text(fraction.denominator / divisor);
}

std::string decimal_rounded_down(const Fraction& fraction) {
  const UInt128 whole = fraction.numerator / fraction.denominator;
  UInt128 rest = fraction.numerator % fraction.denominator;
  std::string text = to_text(whole);
  int significant = whole == 0 ? 0 : static_cast<int>(text.size());
  std::string behind;
  while (rest != 0 && significant < kSignificantDigits) {
    rest *= 10;
    const auto digit = static_cast<int>(rest / fraction.denominator);
    rest %= fraction.denominator;
    behind += static_cast<char>('0' + digit);
    significant += significant > 0 || digit != 0 ? 1 : 0;
  }
  behind.erase(behind.find_last_not_of('0') + 1);
  return behind.empty() ? text : text + "." + behind;
}

double double_rounded_down(const Fraction& fraction) {
  UInt128 mantissa = fraction.numerator / fraction.denominator;
  UInt128 rest = fraction.numerator % fraction.denominator;
  int exponent = 0;
  for (; mantissa >> kSignificantBits != 0; ++exponent) {
    mantissa >>= 1;
  }
  for (; rest != 0 && mantissa >> (kSignificantBits - 1) == 0; --exponent) {
    rest *= 2;
    mantissa = mantissa * 2 + (rest >= fraction.denominator ? 1 : 0);
    rest %= fraction.denominator;
  }
  return std::ldexp(static_cast<double>(mantissa), exponent);
}

}  // namespace kvplace
