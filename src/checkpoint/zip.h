#pragma once
// The directory of a zip archive, as torch.save writes it: every record's place in the file.
// Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ferry::checkpoint {

struct ZipRecord {
  uint64_t offset = 0;  ///< Of the first content byte in the file.
  uint64_t size = 0;    ///< Bytes that the content takes in the file.
  uint16_t method = 0;  ///< 0: stored.
};

using ZipDirectory = std::map<std::string, ZipRecord, std::less<>>;

/// Reads the central directory of the archive that `bytes` are, zip64 included. Every record is checked
/// against its local header and against its neighbours: it lies in the file, before the directory, and
/// overlaps nothing. Errors: Error{invalid_file}, naming `file` and the record.
ZipDirectory read_zip_directory(std::string_view bytes, std::string_view file);

/// The stored record `name`. Errors: Error{invalid_file} if there is none; Error{unsupported} if it is
/// compressed: tensors are used where they lie.
ZipRecord stored_record(const ZipDirectory& zip, std::string_view name, std::string_view file);

}  // namespace ferry::checkpoint
