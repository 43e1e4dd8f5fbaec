#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "checkpoint/json_events.h"
#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

struct DTypeRow {
  std::string_view name;
  DType dtype;
};

constexpr std::array<DTypeRow, 24> kDTypes = {{
    {"BOOL", DType::boolean},
    {"U8", DType::u8},
    {"I8", DType::i8},
    {"U16", DType::u16},
    {"I16", DType::i16},
    {"F16", DType::f16},
    {"BF16", DType::bf16},
    {"U32", DType::u32},
    {"I32", DType::i32},
    {"F32", DType::f32},
    {"U64", DType::u64},
    {"I64", DType::i64},
    {"F64", DType::f64},
    {"C64", DType::c64},
    {"F8_E4M3", DType::f8_e4m3fn},
    {"F8_E5M2", DType::f8_e5m2},
    {"F8_E8M0", DType::f8_e8m0},
    {"F8_E4M3FNUZ", DType::f8_e4m3fnuz},
    {"F8_E5M2FNUZ", DType::f8_e5m2fnuz},
    // Known by name, so that they are refused as unsupported and not as a broken file.
    {"F4", DType::undefined},
    {"F6_E2M3", DType::undefined},
    {"F6_E3M2", DType::undefined},
    {"I4", DType::undefined},
    {"U4", DType::undefined},
}};

struct Entry {
  std::string name;
  DType dtype = DType::undefined;
  Dims shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The header's grammar as a visitor: {name: {"dtype": s, "shape": [n...], "data_offsets": [b, e]}...} and
// "__metadata__": {s: s...}. Unknown members of a tensor are passed over, as the reference does.
class HeaderVisitor final : public JsonVisitor {
 public:
  explicit HeaderVisitor(std::string_view file) : file_(file) {}

  void on_key(size_t depth, std::string_view key) override {
    if (depth == 1) {
      name_ = key;
      in_metadata_ = key == "__metadata__";
    } else if (depth == 2) {
      member_ = key;
    }
  }

  void on_open(size_t depth, bool is_array) override {
    if (depth == 0) {
      if (is_array) fail("the header is not a JSON object");
      return;
    }
    if (depth == 1) {
      if (is_array) fail(fmt::format("the entry of {} is not an object", in_quotes(name_)));
      if (!in_metadata_) begin_entry();
      return;
    }
    if (in_metadata_) fail(fmt::format("__metadata__ {} is not a string", in_quotes(member_)));
    if (depth == 2 && is_known(member_)) {
      if (!is_array || member_ == "dtype") fail_member("has the wrong type");
      (member_ == "shape" ? has_shape_ : has_offsets_) = true;
    } else if (depth > 2 && is_known(member_)) {
      fail_member("has the wrong type");
    }
  }

  void on_scalar(size_t depth, const JsonScalar& value) override {
    if (depth == 0) fail("the header is not a JSON object");
    if (depth == 1) {
      if (in_metadata_ && value.kind == JsonScalar::Kind::null) return;
      fail(fmt::format("the entry of {} is not an object", in_quotes(name_)));
    }
    if (in_metadata_) return on_metadata(value);
    if (depth == 2 && member_ == "dtype") return on_dtype(value);
    if (depth == 2 && is_known(member_)) fail_member("has the wrong type");
    if (depth == 3 && is_known(member_)) on_number(value);
  }

  void on_close(size_t depth) override {
    if (depth == 1 && !in_metadata_) end_entry();
  }

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

 private:
  static bool is_known(std::string_view member) {
    return member == "dtype" || member == "shape" || member == "data_offsets";
  }

  [[noreturn]] void fail(const std::string& reason) const { throw_invalid(file_, reason); }
  [[noreturn]] void fail_member(std::string_view what) const {
    fail(fmt::format("tensor {}: \"{}\" {}", in_quotes(name_), member_, what));
  }

  void begin_entry() {
    if (entries.size() >= kMaxTensors) fail(fmt::format("more than {} tensors", kMaxTensors));
    entries.emplace_back();
    entries.back().name = name_;
    member_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
    offsets_ = 0;
  }

  void end_entry() {
    for (const auto& [has, what] : {std::pair(has_dtype_, "dtype"), std::pair(has_shape_, "shape"),
                                    std::pair(has_offsets_ && offsets_ == 2, "data_offsets")}) {
      if (has) continue;
      fail(fmt::format("tensor {}: \"{}\" is missing or incomplete", in_quotes(name_), what));
    }
  }

  void on_metadata(const JsonScalar& value) {
    if (value.kind != JsonScalar::Kind::string)
      fail(fmt::format("__metadata__ {} is not a string", in_quotes(member_)));
    if (metadata.size() >= kMaxMetadata)
      fail(fmt::format("more than {} entries of __metadata__", kMaxMetadata));
    metadata[member_] = value.text;
  }

  void on_dtype(const JsonScalar& value) {
    if (value.kind != JsonScalar::Kind::string) fail_member("is not a string");
    const auto* row = std::find_if(kDTypes.begin(), kDTypes.end(),
                                   [&](const DTypeRow& candidate) { return candidate.name == value.text; });
    if (row == kDTypes.end())
      fail(fmt::format("tensor {}: unknown dtype {}", in_quotes(name_), in_quotes(value.text)));
    if (row->dtype == DType::undefined) {
      throw Error(ErrorCode::unsupported, fmt::format("{}: tensor {} has dtype {}, which ferry does not read",
                                                      file_, in_quotes(name_), row->name));
    }
    entries.back().dtype = row->dtype;
    has_dtype_ = true;
  }

  void on_number(const JsonScalar& value) {
    if (value.kind != JsonScalar::Kind::whole) fail_member("holds something else than whole numbers");
    Entry& entry = entries.back();
    if (member_ == "shape") {
      if (entry.shape.size() >= kMaxRank) fail_member(fmt::format("has more than {} dimensions", kMaxRank));
      if (value.whole > INT64_MAX) fail_member("holds a number beyond 63 bits");
      entry.shape.push_back(static_cast<int64_t>(value.whole));
    } else {
      if (offsets_ >= 2) fail_member("holds more than two numbers");
      (offsets_ == 0 ? entry.begin : entry.end) = value.whole;
      ++offsets_;
    }
  }

  std::string_view file_;
  std::string name_;
  std::string member_;
  bool in_metadata_ = false;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  size_t offsets_ = 0;
};

// Bytes that dtype and shape ask for; nothing if they do not fit 64 bits. A zero anywhere makes zero, but
// only if the product of what stands before it fits: the reference multiplies from the left.
std::optional<uint64_t> wanted_bytes(const Entry& entry) {
  uint64_t count = 1;
  for (const int64_t dim : entry.shape) {
    const auto next = checked_mul(count, static_cast<uint64_t>(dim));
    if (!next) return std::nullopt;
    count = *next;
  }
  return byte_size(entry.dtype, count);
}

// Sorted by offset, each tensor begins where the last ended, and the last ends with the file: no holes, no
// overlaps, nothing behind.
void check_coverage(std::vector<Entry>& entries, uint64_t data_bytes, std::string_view file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != at || entry.end < entry.begin) {
      throw_invalid(file,
                    fmt::format("tensor {} lies at [{}, {}), expected it to begin at {}: tensors must lie "
                                "end to end",
                                in_quotes(entry.name), entry.begin, entry.end, at));
    }
    const auto wanted = wanted_bytes(entry);
    if (!wanted || *wanted != entry.end - entry.begin) {
      throw_invalid(file, fmt::format("tensor {} has {} bytes, {}{} takes {}", in_quotes(entry.name),
                                      entry.end - entry.begin, to_string(entry.dtype), to_string(entry.shape),
                                      wanted ? fmt::to_string(*wanted) : "more than 64 bits can count"));
    }
    at = entry.end;
    if (at > data_bytes) {
      throw_invalid(file,
                    fmt::format("tensor {} ends at byte {} of the data, of which there are {}: the file is "
                                "truncated or its header lies",
                                in_quotes(entry.name), at, data_bytes));
    }
  }
  if (at != data_bytes) throw_invalid(file, fmt::format("{} bytes follow the last tensor", data_bytes - at));
}

std::string format_name(const std::map<std::string, std::string>& metadata) {
  const auto format = metadata.find("format");
  if (format != metadata.end() && format->second == "tf") return "tf safetensors";
  if (format != metadata.end() && format->second == "flax") return "flax safetensors";
  return "safetensors";
}

std::string_view header_text(std::string_view text, std::string_view file) {
  if (text.size() < 8)
    throw_invalid(file, fmt::format("{} bytes are too few for a safetensors file", text.size()));
  uint64_t length = 0;
  std::memcpy(&length, text.data(), sizeof length);
  if (length > kMaxIndexBytes) {
    throw_invalid(file,
                  fmt::format("the header's length is {}, more than the {} allowed: not a safetensors file?",
                              length, kMaxIndexBytes));
  }
  if (length > text.size() - 8) {
    throw_invalid(file, fmt::format("the header's length is {}, but the file has only {} bytes after it: "
                                    "truncated?",
                                    length, text.size() - 8));
  }
  const std::string_view header = text.substr(8, length);
  const size_t brace = header.find_first_not_of(" \t\r\n");
  if (brace == std::string_view::npos || header[brace] != '{')
    throw_invalid(file, "the header does not begin with '{': not a safetensors file?");
  return header;
}

}  // namespace

TensorFile read_safetensors(std::shared_ptr<const ByteSource> source, std::string_view file) {
  const auto bytes = source->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view header = header_text(text, file);
  const std::string where = printable(file, 300);

  HeaderVisitor visitor(where);
  walk_json(header, fmt::format("{}: header", where), visitor);
  check_coverage(visitor.entries, text.size() - 8 - header.size(), where);

  TensorFile out;
  out.metadata = std::move(visitor.metadata);
  out.format = format_name(out.metadata);
  out.first_level_dropped = out.format == "tf safetensors";
  for (Entry& entry : visitor.entries) {
    out.tensors.emplace(std::move(entry.name), Weight::stored(source, 8 + header.size() + entry.begin,
                                                              entry.dtype, std::move(entry.shape)));
  }
  return out;
}

}  // namespace ferry::checkpoint
