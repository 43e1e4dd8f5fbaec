#include "checkpoint/flax_msgpack.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "checkpoint/limits.h"
#include "checkpoint/msgpack.h"

namespace ferry::checkpoint {
namespace {
using Kind = MsgpackItem::Kind;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxAllNames = 256u << 20;
constexpr int8_t kArrayExtension = 1;
constexpr std::string_view kChunked = "__msgpack_chunked_array__";

struct DTypeRow {
  std::string_view name;
  DType dtype;
};
// Names of numpy's; "V2" is what older flax wrote for bfloat16.
constexpr std::array<DTypeRow, 14> kDTypes = {{
    {"float32", DType::f32},
    {"float64", DType::f64},
    {"float16", DType::f16},
    {"bfloat16", DType::bf16},
    {"V2", DType::bf16},
    {"int8", DType::i8},
    {"int16", DType::i16},
    {"int32", DType::i32},
    {"int64", DType::i64},
    {"uint8", DType::u8},
    {"uint16", DType::u16},
    {"uint32", DType::u32},
    {"uint64", DType::u64},
    {"bool", DType::boolean},
}};

DType dtype_named(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  return DType::undefined;
}

class FlaxReader {
 public:
  FlaxReader(std::shared_ptr<const ByteSource> source, std::string_view file)
      : source_(std::move(source)),
        text_(reinterpret_cast<const char*>(source_->bytes().data()), source_->bytes().size()),
        reader_(text_),
        file_(file) {}

  TensorFile read() {
    const MsgpackItem root = next("the tree");
    if (root.kind != Kind::map) throw_invalid(file_, "not a msgpack map: not a Flax checkpoint?");
    levels_.push_back({root.number, 0, false, {}});
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.left == 0) {
        close();
        continue;
      }
      --level.left;
      member();
    }
    if (reader_.left() != 0) throw_invalid(file_, fmt::format("{} bytes follow the tree", reader_.left()));
    if (!shapes_.empty())
      throw_invalid(file_,
                    fmt::format("{} holds numbers that are no array", in_quotes(shapes_.begin()->first)));
    if (out_.tensors.empty()) throw_invalid(file_, "the tree holds no arrays");
    out_.format = "flax";
    return std::move(out_);
  }

 private:
  // An open map. An array that flax has cut is a map with a mark, its shape and its chunks, both as maps
  // from "0", "1", ...
  struct Level {
    uint64_t left = 0;      // Members to come.
    size_t path_bytes = 0;  // Of the path around it.
    bool marked = false;
    std::map<uint64_t, int64_t> numbers;
  };

  MsgpackItem next(std::string_view what) {
    const size_t at = reader_.at();
    const auto item = next_msgpack(reader_);
    if (!item)
      throw_invalid(file_, fmt::format("broken or truncated msgpack at byte {}, reading {}", at, what));
    return *item;
  }

  void member() {
    const MsgpackItem key = next("a name");
    if (key.kind != Kind::text) throw_invalid(file_, "a name that is not a string");
    const size_t around = path_.size();
    if (!path_.empty()) path_ += '/';
    path_ += key.content;
    if (key.content.find('/') != std::string_view::npos || path_.size() > kMaxNameBytes ||
        !is_utf8(key.content))
      throw_invalid(file_, fmt::format("the name {} is not UTF-8 of at most {} bytes without \"/\"",
                                       in_quotes(path_), kMaxNameBytes));
    const MsgpackItem value = next(in_quotes(path_));
    if (value.kind == Kind::map) {
      if (levels_.size() >= kMaxDepth)
        throw_invalid(file_, fmt::format("nested deeper than {} levels", kMaxDepth));
      levels_.push_back({value.number, around, false, {}});
      return;
    }
    leaf(key.content, value);
    path_.resize(around);
  }

  void leaf(std::string_view key, const MsgpackItem& value) {
    if (value.kind == Kind::extension && value.extension == kArrayExtension) return add(array(value));
    if (key == kChunked && value.kind == Kind::boolean) {
      levels_.back().marked = true;
      return;
    }
    const auto index = as_index(key);
    if (index && value.kind == Kind::whole && value.number <= INT64_MAX && levels_.size() > 1) {
      levels_.back().numbers[*index] = static_cast<int64_t>(value.number);
      return;
    }
    throw Error(ErrorCode::unsupported, fmt::format("{}: {} is not an array", file_, in_quotes(path_)));
  }

  static std::optional<uint64_t> as_index(std::string_view key) {
    if (key.empty() || key.size() > 6) return std::nullopt;
    uint64_t value = 0;
    for (const char c : key) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<uint64_t>(c - '0');
    }
    return value;
  }

  void add(const Weight& weight) {
    names_bytes_ += path_.size();
    if (out_.tensors.size() >= kMaxTensors || names_bytes_ > kMaxAllNames)
      throw_invalid(file_, "too many arrays");
    if (!out_.tensors.emplace(path_, weight).second)
      throw_invalid(file_, fmt::format("two arrays are named {}", in_quotes(path_)));
  }

  // Extension 1: [shape, dtype name, bytes].
  Weight array(const MsgpackItem& value) const {
    ByteReader inner(text_.substr(0, value.offset + value.content.size()), value.offset);
    const auto fail = [&](std::string_view reason) {
      throw_invalid(file_, fmt::format("array {}: {}", in_quotes(path_), reason));
    };
    const auto head = next_msgpack(inner);
    const auto shape = next_msgpack(inner);
    if (!head || head->kind != Kind::array || head->number != 3 || !shape || shape->kind != Kind::array)
      fail("not [shape, dtype, bytes]");
    if (shape->number > kMaxRank) fail(fmt::format("more than {} dimensions", kMaxRank));
    Dims dims;
    for (uint64_t i = 0; i < shape->number; ++i) {
      const auto dim = next_msgpack(inner);
      if (!dim || dim->kind != Kind::whole || dim->number > INT64_MAX)
        fail("a dimension that is no whole number");
      dims.push_back(static_cast<int64_t>(dim->number));
    }
    const auto name = next_msgpack(inner);
    const auto bytes = next_msgpack(inner);
    if (!name || (name->kind != Kind::text && name->kind != Kind::binary) || !bytes ||
        bytes->kind != Kind::binary || inner.left() != 0)
      fail("not [shape, dtype, bytes]");
    const DType dtype = dtype_named(name->content);
    if (dtype == DType::undefined) {
      throw Error(ErrorCode::unsupported, fmt::format("{}: array {} has dtype {}, which ferry does not read",
                                                      file_, in_quotes(path_), in_quotes(name->content)));
    }
    check_size(dtype, dims, bytes->content.size());
    return Weight::stored(source_, bytes->offset, dtype, dims);
  }

  void check_size(DType dtype, const Dims& dims, uint64_t bytes) const {
    std::optional<uint64_t> wanted = bits_of(dtype) / 8;
    for (const int64_t dim : dims)
      wanted = wanted ? checked_mul(*wanted, static_cast<uint64_t>(dim)) : std::nullopt;
    if (wanted == bytes) return;
    throw_invalid(file_, fmt::format("array {} has {} bytes, {}{} takes {}", in_quotes(path_), bytes,
                                     to_string(dtype), to_string(dims),
                                     wanted ? fmt::to_string(*wanted) : "more than 64 bits can count"));
  }

  // Ends the map: its path goes; if it was a chunked array, its parts become one.
  void close() {
    const Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.marked) join_chunks();
    if (!level.numbers.empty()) shapes_[path_] = level.numbers;
    path_.resize(level.path_bytes);
  }

  void join_chunks() {
    const auto shape = shapes_.find(path_ + "/shape");
    const std::string prefix = path_ + "/chunks/";
    std::map<uint64_t, Weight> parts;
    for (auto it = out_.tensors.lower_bound(prefix);
         it != out_.tensors.end() && starts_with(it->first, prefix);) {
      const auto index = as_index(std::string_view(it->first).substr(prefix.size()));
      if (!index || it->second.dims().size() != 1)
        throw_invalid(file_, fmt::format("{} is no chunk", in_quotes(it->first)));
      parts.emplace(*index, it->second);
      it = out_.tensors.erase(it);
    }
    if (shape == shapes_.end() || parts.empty())
      throw_invalid(file_, fmt::format("the chunked array {} lacks its shape or chunks", in_quotes(path_)));
    std::vector<Weight> list;
    uint64_t count = 0;
    for (const auto& [index, part] : parts) {
      if (part.dtype() != parts.begin()->second.dtype())
        throw_invalid(file_, fmt::format("the chunks of {} differ in dtype", in_quotes(path_)));
      list.push_back(part);
      count += part.count();
    }
    Dims dims;
    for (const auto& [axis, dim] : shape->second) dims.push_back(dim);
    shapes_.erase(shape);
    check_size(list.front().dtype(), dims, *byte_size(list.front().dtype(), count));
    add(Weight::concat(list, 0).reshape(dims));
  }

  std::shared_ptr<const ByteSource> source_;
  std::string_view text_;
  ByteReader reader_;
  std::string_view file_;
  TensorFile out_;
  std::vector<Level> levels_;
  std::string path_;
  size_t names_bytes_ = 0;
  std::map<std::string, std::map<uint64_t, int64_t>> shapes_;
};

}  // namespace

TensorFile read_flax(const std::shared_ptr<const ByteSource>& source, std::string_view file) {
  return FlaxReader(source, file).read();
}

}  // namespace ferry::checkpoint
