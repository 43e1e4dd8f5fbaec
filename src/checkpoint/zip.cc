#include "checkpoint/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22;
constexpr size_t kEnd64Bytes = 56;
constexpr size_t kLocator64Bytes = 20;
constexpr size_t kCentralBytes = 46;
constexpr size_t kLocalBytes = 30;
constexpr size_t kLongestComment = 65535;
constexpr uint16_t kSaturated16 = 0xFFFF;
constexpr uint32_t kSaturated32 = 0xFFFFFFFF;
constexpr uint16_t kEncrypted = 0x0001;
constexpr uint16_t kSizesFollowData = 0x0008;

struct Central {
  uint64_t entries = 0;
  uint64_t size = 0;
  uint64_t offset = 0;
};

// One entry of the central directory.
struct Entry {
  std::string_view name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint64_t compressed = 0;
  uint64_t size = 0;
  uint64_t header = 0;  // Of the local header.
};

class DirectoryReader {
 public:
  DirectoryReader(std::string_view bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  ZipDirectory read() {
    const Central central = find_central();
    ByteReader reader(bytes_.substr(0, central.offset + central.size), central.offset);
    ZipDirectory out;
    std::vector<std::pair<uint64_t, uint64_t>> extents;  // Header to end of content.
    for (uint64_t i = 0; i < central.entries; ++i) {
      const Entry entry = next_entry(reader);
      const ZipRecord record = check_local(entry, central.offset);
      extents.emplace_back(entry.header, record.offset + record.size);
      if (!out.emplace(std::string(entry.name), record).second)
        fail(fmt::format("two records are named {}", in_quotes(entry.name)));
    }
    if (reader.left() != 0)
      fail(fmt::format("{} bytes follow the last entry of the directory", reader.left()));
    check_extents(extents);
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw_invalid(file_, fmt::format("zip archive: {}", reason));
  }
  [[noreturn]] void fail_record(std::string_view name, const std::string& reason) const {
    fail(fmt::format("record {}: {}", in_quotes(name), reason));
  }

  // The end record is the last one in the file, and its comment ends with the file.
  [[nodiscard]] size_t find_end() const {
    if (bytes_.size() < kEndBytes) fail("too short");
    const size_t last = bytes_.size() - kEndBytes;
    const size_t first = last > kLongestComment ? last - kLongestComment : 0;
    for (size_t at = last + 1; at-- > first;) {
      if (number_at<uint32_t>(bytes_, at) != kEndSignature) continue;
      const auto comment = number_at<uint16_t>(bytes_, at + 20);
      if (at + kEndBytes + comment != bytes_.size())
        fail("the end record's comment does not end with the file");
      return at;
    }
    fail("there is no end record: truncated?");
  }

  [[nodiscard]] Central find_central() const {
    const size_t end = find_end();
    Central out;
    out.entries = number_at<uint16_t>(bytes_, end + 10);
    out.size = number_at<uint32_t>(bytes_, end + 12);
    out.offset = number_at<uint32_t>(bytes_, end + 16);
    const bool one_disk = number_at<uint16_t>(bytes_, end + 4) == number_at<uint16_t>(bytes_, end + 6) &&
                          number_at<uint16_t>(bytes_, end + 8) == out.entries;
    if (!one_disk) fail("split over several files");
    size_t behind = end;
    if (end >= kLocator64Bytes && number_at<uint32_t>(bytes_, end - kLocator64Bytes) == kLocator64Signature)
      behind = read_end64(end - kLocator64Bytes, out);
    const auto stop = out.offset <= behind && out.size <= behind - out.offset;
    if (!stop || out.offset + out.size != behind)
      fail(fmt::format("the directory at [{}, {} more) does not end at {}", out.offset, out.size, behind));
    if (out.entries > out.size / kCentralBytes)
      fail(fmt::format("{} entries do not fit a directory of {} bytes", out.entries, out.size));
    if (out.entries > kMaxTensors) fail(fmt::format("more than {} records", kMaxTensors));
    return out;
  }

  // Reads the zip64 end record that the locator points at; returns its position.
  [[nodiscard]] size_t read_end64(size_t locator, Central& out) const {
    const auto at = number_at<uint64_t>(bytes_, locator + 8);
    if (at > locator || locator - at < kEnd64Bytes || number_at<uint32_t>(bytes_, at) != kEnd64Signature)
      fail("the zip64 end record is not where its locator says");
    const bool one_disk =
        number_at<uint32_t>(bytes_, locator + 4) == 0 && number_at<uint32_t>(bytes_, locator + 16) <= 1 &&
        number_at<uint32_t>(bytes_, at + 16) == 0 && number_at<uint32_t>(bytes_, at + 20) == 0 &&
        number_at<uint64_t>(bytes_, at + 24) == number_at<uint64_t>(bytes_, at + 32);
    if (!one_disk) fail("split over several files");
    const Central wide{number_at<uint64_t>(bytes_, at + 32), number_at<uint64_t>(bytes_, at + 40),
                       number_at<uint64_t>(bytes_, at + 48)};
    const bool agrees = (out.entries == kSaturated16 || out.entries == wide.entries) &&
                        (out.size == kSaturated32 || out.size == wide.size) &&
                        (out.offset == kSaturated32 || out.offset == wide.offset);
    if (!agrees) fail("the end record and the zip64 end record disagree");
    out = wide;
    return at;
  }

  Entry next_entry(ByteReader& reader) const {
    const auto fixed = reader.take(kCentralBytes);
    if (!fixed || number_at<uint32_t>(*fixed, 0) != kCentralSignature) fail("broken directory entry");
    Entry entry;
    entry.flags = number_at<uint16_t>(*fixed, 8);
    entry.method = number_at<uint16_t>(*fixed, 10);
    entry.compressed = number_at<uint32_t>(*fixed, 20);
    entry.size = number_at<uint32_t>(*fixed, 24);
    entry.header = number_at<uint32_t>(*fixed, 42);
    const auto name = reader.take(number_at<uint16_t>(*fixed, 28));
    const auto extra = name ? reader.take(number_at<uint16_t>(*fixed, 30)) : std::nullopt;
    const auto comment = extra ? reader.take(number_at<uint16_t>(*fixed, 32)) : std::nullopt;
    if (!comment) fail("a directory entry runs over the directory's end");
    entry.name = *name;
    widen(entry, *extra);
    if ((entry.flags & kEncrypted) != 0) fail_record(entry.name, "encrypted");
    if (const auto disk = number_at<uint16_t>(*fixed, 34); disk != 0 && disk != kSaturated16)
      fail_record(entry.name, "in another file");
    if (entry.method == 0 && entry.compressed != entry.size)
      fail_record(entry.name, fmt::format("stored, but {} bytes hold {}", entry.compressed, entry.size));
    return entry;
  }

  // Takes 64-bit fields from the zip64 extra field, in their fixed order, where the entry's own are
  // saturated.
  void widen(Entry& entry, std::string_view extra) const {
    ByteReader reader(extra);
    while (reader.left() >= 4) {
      const auto id = *reader.number<uint16_t>();
      const auto content = reader.take(*reader.number<uint16_t>());
      if (!content) fail_record(entry.name, "its extra field runs over");
      if (id != 1) continue;
      ByteReader wide(*content);
      for (uint64_t* field : {&entry.size, &entry.compressed, &entry.header}) {
        if (*field != kSaturated32) continue;
        const auto value = wide.number<uint64_t>();
        if (!value) fail_record(entry.name, "its zip64 field is too short");
        *field = *value;
      }
      return;
    }
  }

  [[nodiscard]] ZipRecord check_local(const Entry& entry, uint64_t directory) const {
    if (entry.header > directory || directory - entry.header < kLocalBytes ||
        number_at<uint32_t>(bytes_, entry.header) != kLocalSignature) {
      fail_record(entry.name, fmt::format("no local header at byte {}", entry.header));
    }
    const auto header = bytes_.substr(entry.header, kLocalBytes);
    const auto flags = number_at<uint16_t>(header, 6);
    const uint64_t name_bytes = number_at<uint16_t>(header, 26);
    const uint64_t offset = entry.header + kLocalBytes + name_bytes + number_at<uint16_t>(header, 28);
    if (offset > directory || bytes_.substr(entry.header + kLocalBytes, name_bytes) != entry.name)
      fail_record(entry.name, fmt::format("the local header at byte {} is another record's", entry.header));
    if (number_at<uint16_t>(header, 8) != entry.method)
      fail_record(entry.name, "the local header and the directory disagree on compression");
    for (const auto& [field, wanted] : {std::pair(18, entry.compressed), std::pair(22, entry.size)}) {
      const auto size = number_at<uint32_t>(header, static_cast<size_t>(field));
      if ((flags & kSizesFollowData) == 0 && size != kSaturated32 && size != wanted)
        fail_record(entry.name,
                    fmt::format("the local header says {} bytes, the directory {}", size, wanted));
    }
    if (entry.compressed > directory - offset) {
      fail_record(entry.name, fmt::format("{} bytes at {} do not lie before the directory at {}", entry.size,
                                          offset, directory));
    }
    return {offset, entry.compressed, entry.method};
  }

  void check_extents(std::vector<std::pair<uint64_t, uint64_t>>& extents) const {
    std::sort(extents.begin(), extents.end());
    for (size_t i = 1; i < extents.size(); ++i) {
      if (extents[i].first < extents[i - 1].second)
        fail(fmt::format("two records overlap at byte {}", extents[i].first));
    }
  }

  std::string_view bytes_;
  std::string_view file_;
};

}  // namespace

ZipDirectory read_zip_directory(std::string_view bytes, std::string_view file) {
  return DirectoryReader(bytes, file).read();
}

ZipRecord stored_record(const ZipDirectory& zip, std::string_view name, std::string_view file) {
  const auto found = zip.find(name);
  if (found == zip.end()) throw_invalid(file, fmt::format("there is no record {}", in_quotes(name)));
  if (found->second.method != 0) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: zip record {} is compressed (method {}); ferry reads stored records only",
                            printable(file, 300), in_quotes(name), found->second.method))
        .with_hint("torch.save never compresses; load it in PyTorch and save it again");
  }
  return found->second;
}

}  // namespace ferry::checkpoint
