#include "onnx/external_data.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace ferry::onnx {
namespace {

// Component by component, none of them a link: what openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS) does, on
// every kernel. check_relative_name() has refused "..".
File open_below(const std::filesystem::path& folder, const std::string& location) {
  const auto fail = [&](int code) {
    const bool absent = code == ENOENT;
    throw Error(absent ? ErrorCode::not_found : ErrorCode::io,
                fmt::format("cannot open the external data \"{}\": {}", printable(location),
                            code == ELOOP ? "it is a symbolic link" : std::strerror(code)));
  };
  const auto start = folder.empty() ? std::filesystem::path(".") : folder;
  File at(::open(start.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.is_open()) fail(errno);
  const auto parts = split(location, '/');
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    File next(::openat(at.descriptor(), parts[i].c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.is_open()) fail(errno == ENOTDIR ? ELOOP : errno);
    at = std::move(next);
  }
  File file(::openat(at.descriptor(), parts.back().c_str(),
                     O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) fail(errno);
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) fail(errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::io,
                fmt::format("the external data \"{}\" is not a regular file", printable(location)));
  }
  return file;
}

}  // namespace

std::shared_ptr<const ByteSource> ExternalFiles::open(const std::string& location) {
  auto& source = opened_[location];
  if (source) return source;
  check_relative_name(location, "external data");
  const File file = open_below(folder_, location);
  source = std::make_shared<FileSource>(MappedFile::map(file, folder_ / location));
  return source;
}

}  // namespace ferry::onnx
