#include "checkpoint/tf1_checkpoint.h"

#include <fmt/format.h>

#include <array>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/sorted_table.h"

namespace ferry::checkpoint {
namespace {

constexpr uint64_t kMaxShards = 100'000;

// tensorflow/core/framework/types.proto
DType dtype_of_tensorflow(uint64_t number) {
  static constexpr std::array<DType, 24> kTypes = {
      DType::undefined, DType::f32,       DType::f64,       DType::i32,       DType::u8,
      DType::i16,       DType::i8,        DType::undefined, DType::c64,       DType::i64,
      DType::boolean,   DType::undefined, DType::undefined, DType::undefined, DType::bf16,
      DType::undefined, DType::undefined, DType::u16,       DType::c128,      DType::f16,
      DType::undefined, DType::undefined, DType::u32,       DType::u64};
  return number < kTypes.size() ? kTypes.at(number) : DType::undefined;
}

// One field of a protocol buffer.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;        // Varint and fixed.
  std::string_view content;  // Length-delimited.
};

bool take_field(std::string_view& bytes, Field& out) {
  uint64_t tag = 0;
  if (!take_varint(bytes, tag)) return false;
  out = {.number = tag >> 3};
  const auto take = [&](uint64_t count) {
    if (count > bytes.size()) return false;
    out.content = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return true;
  };
  switch (tag & 7) {
    case 0:
      return take_varint(bytes, out.value);
    case 1:
      return take(8);
    case 2:
      return take_varint(bytes, out.value) && take(out.value);
    case 5:
      return take(4);
    default:
      return false;
  }
}

class IndexReader {
 public:
  explicit IndexReader(std::string_view file) : file_(file) {}

  Tf1Index read(std::string_view text) {
    walk_sorted_table(text, file_, [&](std::string_view key, std::string_view value) {
      if (key.empty()) return header(value);
      if (key == "_CHECKPOINTABLE_OBJECT_GRAPH" || ends_with(key, "/.ATTRIBUTES/VARIABLE_VALUE"))
        refuse_objects();
      if (is_training_state(key)) return;
      entry(key, value);
    });
    if (out_.shards == 0) throw_invalid(file_, "the checkpoint's header is missing");
    if (out_.entries.empty()) throw_invalid(file_, "the checkpoint holds no variables");
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse_objects() const {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{} is an object-based checkpoint of TensorFlow 2, which numbers its variables", file_))
        .with_hint(
            "load it in TensorFlow and save the transformers model with model.save_pretrained(folder)");
  }

  static bool is_training_state(std::string_view key) {
    const std::string_view last = key.substr(key.rfind('/') + 1);
    return last == "adam_m" || last == "adam_v" || last == "AdamWeightDecayOptimizer" ||
           last == "AdamWeightDecayOptimizer_1" || last == "global_step" || last == "beta1_power" ||
           last == "beta2_power";
  }

  void header(std::string_view value) {
    Field field;
    while (!value.empty()) {
      if (!take_field(value, field)) throw_invalid(file_, "the checkpoint's header is broken");
      if (field.number == 1) out_.shards = field.value;
      if (field.number == 2 && field.value != 0)
        throw Error(ErrorCode::unsupported, fmt::format("{} holds big-endian numbers", file_));
    }
    if (out_.shards == 0 || out_.shards > kMaxShards)
      throw_invalid(file_, fmt::format("the checkpoint claims {} data files", out_.shards));
  }

  void entry(std::string_view key, std::string_view value) {
    const auto fail = [&](std::string_view reason) {
      throw_invalid(file_, fmt::format("variable {}: {}", in_quotes(key), reason));
    };
    if (!is_utf8(key)) fail("its name is not UTF-8");
    if (out_.entries.size() >= kMaxTensors) fail(fmt::format("more than {} variables", kMaxTensors));
    Tf1Entry entry;
    uint64_t dtype = 0;
    Field field;
    while (!value.empty()) {
      if (!take_field(value, field)) fail("its entry is broken");
      if (field.number == 1) dtype = field.value;
      if (field.number == 2 && !shape(field.content, entry.dims)) fail("its shape is broken");
      if (field.number == 3) entry.shard = field.value;
      if (field.number == 4) entry.offset = field.value;
      if (field.number == 5) entry.size = field.value;
      if (field.number == 7)
        throw Error(ErrorCode::unsupported,
                    fmt::format("{}: variable {} is cut into slices", file_, in_quotes(key)));
    }
    entry.dtype = dtype_of_tensorflow(dtype);
    if (entry.dtype == DType::undefined) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{}: variable {} has TensorFlow's element type {}, which ferry does not read",
                              file_, in_quotes(key), dtype));
    }
    std::optional<uint64_t> wanted = bits_of(entry.dtype) / 8;
    for (const int64_t dim : entry.dims)
      wanted = wanted ? checked_mul(*wanted, static_cast<uint64_t>(dim)) : std::nullopt;
    if (wanted != entry.size)
      fail(fmt::format("{} bytes for {}{}", entry.size, to_string(entry.dtype), to_string(entry.dims)));
    if (!out_.entries.emplace(key, std::move(entry)).second) fail("it is listed twice");
  }

  // TensorShapeProto: repeated Dim dim = 2 {int64 size = 1}.
  static bool shape(std::string_view bytes, Dims& out) {
    Field field;
    while (!bytes.empty()) {
      if (!take_field(bytes, field)) return false;
      if (field.number == 3 && field.value != 0) return false;  // Unknown rank.
      if (field.number != 2) continue;
      std::string_view dim = field.content;
      uint64_t size = 0;
      Field inner;
      while (!dim.empty()) {
        if (!take_field(dim, inner)) return false;
        if (inner.number == 1) size = inner.value;
      }
      if (out.size() >= kMaxRank || size > INT64_MAX) return false;
      out.push_back(static_cast<int64_t>(size));
    }
    return true;
  }

  std::string_view file_;
  Tf1Index out_;
};

}  // namespace

Tf1Index parse_tf1_index(std::string_view text, std::string_view file) {
  const std::string where = printable(file, 300);
  return IndexReader(where).read(text);
}

TensorFile read_tf1(const std::filesystem::path& index_file) {
  const std::string index_name = index_file.string();
  const Tf1Index index = parse_tf1_index(read_text(index_file, kMaxIndexBytes), index_name);
  const std::string prefix = index_name.substr(0, index_name.rfind(".index"));
  TensorFile out;
  out.format = "tf1";
  std::map<uint64_t, std::shared_ptr<const ByteSource>> data;
  for (const auto& [name, entry] : index.entries) {
    if (entry.shard >= index.shards)
      throw_invalid(index_name, fmt::format("variable {} lies in data file {} of {}", in_quotes(name),
                                            entry.shard, index.shards));
    auto& source = data[entry.shard];
    if (!source)
      source = file_source(fmt::format("{}.data-{:05}-of-{:05}", prefix, entry.shard, index.shards));
    const uint64_t there = source->bytes().size();
    if (entry.offset > there || entry.size > there - entry.offset) {
      throw_invalid(source->file().string(),
                    fmt::format("variable {}: {} bytes at {} do not lie within the {} there are",
                                in_quotes(name), entry.size, entry.offset, there));
    }
    out.tensors.emplace(name, Weight::stored(source, entry.offset, entry.dtype, entry.dims));
  }
  return out;
}

}  // namespace ferry::checkpoint
