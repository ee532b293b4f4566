#include "trace/zip_archive.h"

#include <minizip/unzip.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "kvplace/base/parse.h"
#include "trace/byte_source.h"

namespace kvplace {
namespace {

/// An archive in memory, as minizip wants its files: it opens nothing by itself.
struct MemoryFile {
  std::vector<std::byte> bytes;
  std::uint64_t at = 0;
};

MemoryFile& file_of(void* stream) { return *static_cast<MemoryFile*>(stream); }

void* open_memory(void* opaque, const void* /*name*/, int mode) {
  return (mode & ZLIB_FILEFUNC_MODE_WRITE) != 0 ? nullptr : opaque;
}

uLong read_memory(void* /*opaque*/, void* stream, void* out, uLong size) {
  MemoryFile& file = file_of(stream);
  const std::uint64_t count = std::min<std::uint64_t>(size, file.bytes.size() - file.at);
  std::copy_n(file.bytes.data() + file.at, count, static_cast<std::byte*>(out));
  file.at += count;
  return static_cast<uLong>(count);
}

uLong write_memory(void* /*opaque*/, void* /*stream*/, const void* /*data*/, uLong /*size*/) { return 0; }

ZPOS64_T tell_memory(void* /*opaque*/, void* stream) { return file_of(stream).at; }

long seek_memory(void* /*opaque*/, void* stream, ZPOS64_T offset, int origin) {
  MemoryFile& file = file_of(stream);
  const std::uint64_t from = origin == ZLIB_FILEFUNC_SEEK_CUR   ? file.at
                             : origin == ZLIB_FILEFUNC_SEEK_END ? file.bytes.size()
                                                                : 0;
  const std::uint64_t to = from + offset;
  if (to > file.bytes.size() || to < from) {
    return -1;
  }
  file.at = to;
  return 0;
}

int close_memory(void* /*opaque*/, void* /*stream*/) { return 0; }
int error_of_memory(void* /*opaque*/, void* /*stream*/) { return 0; }

struct CloseArchive {
  void operator()(void* archive) const { unzClose(archive); }
};

/// The member that minizip stands at. Memory grows with what the archive really holds.
Result<std::vector<std::byte>> read_member(void* archive) {
  constexpr std::size_t kStepBytes = std::size_t{1} << 20;
  if (unzOpenCurrentFile(archive) != UNZ_OK) {
    return bad_input("cannot be decompressed");
  }
  std::vector<std::byte> bytes;
  std::vector<std::byte> step(kStepBytes);
  int count = 0;
  while ((count = unzReadCurrentFile(archive, step.data(), static_cast<unsigned>(step.size()))) > 0) {
    bytes.insert(bytes.end(), step.begin(), step.begin() + count);
  }
  // Closing compares the checksum of what was read.
  if (unzCloseCurrentFile(archive) != UNZ_OK || count < 0) {
    return bad_input("is damaged");
  }
  return bytes;
}

}  // namespace

Result<std::map<std::string, std::vector<std::byte>>> read_zip(const std::string& path) {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  MemoryFile file;
  KVPLACE_ASSIGN(bytes, source.read_all());
  file.bytes = std::move(bytes);
  zlib_filefunc64_def functions{open_memory, read_memory,  write_memory,    tell_memory,
                                seek_memory, close_memory, error_of_memory, &file};
  const std::unique_ptr<void, CloseArchive> archive(unzOpen2_64("archive", &functions));
  if (archive == nullptr) {
    return bad_input(path + ": is no zip archive, or is cut off; copy or make it anew");
  }
  std::map<std::string, std::vector<std::byte>> members;
  std::array<char, 256> name{};
  for (int status = unzGoToFirstFile(archive.get()); status != UNZ_END_OF_LIST_OF_FILE;
       status = unzGoToNextFile(archive.get())) {
    if (status != UNZ_OK || unzGetCurrentFileInfo64(archive.get(), nullptr, name.data(), name.size() - 1, nullptr, 0,
                                                    nullptr, 0) != UNZ_OK) {
      return bad_input(path + ": its list of members is damaged; copy or make it anew");
    }
    Result<std::vector<std::byte>> member = read_member(archive.get());
    if (!member) {
      return bad_input(path + ": its member " + in_quotes(name.data()) + " " + member.error().message +
                       "; copy or make it anew");
    }
    members[name.data()] = std::move(*member);
  }
  return members;
}

}  // namespace kvplace
