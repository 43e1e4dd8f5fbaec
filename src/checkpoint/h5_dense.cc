// Fractal heaps and the B-trees (version 2) that index them.
// Source: HDF5 File Format Specification 3.0, III.A.2 and III.G.
#include <fmt/format.h>

#include <bit>

#include "base/text.h"
#include "checkpoint/h5_group.h"

namespace ferry::checkpoint {
namespace {

constexpr size_t kMaxDepth = 32;

// Bytes that numbers up to `value` take.
size_t bytes_for(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value)) + 7) / 8;
}

class Tree {
 public:
  Tree(const H5Bytes& bytes, const std::function<void(std::string_view)>& record)
      : bytes_(bytes), record_(record) {}

  void read(uint64_t address) {
    const std::string_view head = bytes_.at(address, 38, "an index");
    if (!starts_with(head, "BTHD")) bytes_.fail("no index where a group says it is");
    node_bytes_ = number_at<uint32_t>(head, 6);
    record_bytes_ = number_at<uint16_t>(head, 10);
    const uint64_t depth = number_at<uint16_t>(head, 12);
    if (record_bytes_ == 0 || node_bytes_ < 10 + record_bytes_ || depth > kMaxDepth)
      bytes_.fail("an index with impossible sizes");
    const auto root = number_at<uint64_t>(head, 16);
    if (root != kH5Undefined) node(root, number_at<uint16_t>(head, 24), depth);
  }

 private:
  // The most records that a subtree of this depth can hold, for the width of its count.
  [[nodiscard]] uint64_t most(uint64_t depth) const {
    uint64_t total = (node_bytes_ - 10) / record_bytes_;
    for (uint64_t level = 1; level <= depth && total < (uint64_t{1} << 40); ++level) {
      const uint64_t pointer =
          8 + bytes_for((node_bytes_ - 10) / record_bytes_) + (level > 1 ? bytes_for(total) : 0);
      const uint64_t records = (node_bytes_ - 10 - pointer) / (record_bytes_ + pointer);
      total = records + (records + 1) * total;
    }
    return total;
  }

  void node(uint64_t address, uint64_t records, uint64_t depth) {
    bytes_.step(records + 1);
    const std::string_view block = bytes_.at(address, node_bytes_, "a node of an index");
    if (!starts_with(block, depth == 0 ? "BTLF" : "BTIN")) bytes_.fail("no node where an index says it is");
    if (records * record_bytes_ > node_bytes_ - 10) bytes_.fail("a node of an index with too many records");
    for (uint64_t i = 0; i < records; ++i) record_(block.substr(6 + i * record_bytes_, record_bytes_));
    if (depth == 0) return;
    ByteReader reader(block, 6 + records * record_bytes_);
    for (uint64_t i = 0; i <= records; ++i) {
      const auto child = reader.number<uint64_t>();
      const auto count = h5_number(reader, bytes_for((node_bytes_ - 10) / record_bytes_));
      if (depth > 1) reader.take(bytes_for(most(depth - 1)));
      if (!child || !count) bytes_.fail("a node of an index is too short");
      node(*child, *count, depth - 1);
    }
  }

  const H5Bytes& bytes_;
  const std::function<void(std::string_view)>& record_;
  uint64_t node_bytes_ = 0;
  uint64_t record_bytes_ = 0;
};

class FractalHeap {
 public:
  FractalHeap(const H5Bytes& bytes, uint64_t address) : bytes_(bytes) {
    const std::string_view head = bytes.at(address, 146, "a fractal heap");
    if (!starts_with(head, "FRHP") || head[4] != 0) bytes.fail("no fractal heap where a group says it is");
    if (number_at<uint16_t>(head, 7) != 0) bytes.refuse("a group whose links are compressed");
    max_object_ = number_at<uint32_t>(head, 10);
    if (const auto huge = number_at<uint64_t>(head, 22); huge != kH5Undefined) read_huge(huge);
    width_ = number_at<uint16_t>(head, 110);
    start_ = number_at<uint64_t>(head, 112);
    max_direct_ = number_at<uint64_t>(head, 120);
    offset_bits_ = number_at<uint16_t>(head, 128);
    root_ = number_at<uint64_t>(head, 132);
    rows_ = number_at<uint16_t>(head, 140);
    const bool sane = width_ > 0 && std::has_single_bit(start_) && std::has_single_bit(max_direct_) &&
                      start_ <= max_direct_ && max_direct_ <= (uint64_t{1} << 32) && offset_bits_ >= 8 &&
                      offset_bits_ <= 64;
    if (!sane) bytes.fail("a fractal heap with impossible sizes");
  }

  // The object of a heap id.
  [[nodiscard]] std::string_view object(std::string_view id) const {
    ByteReader reader(id);
    const auto kind = reader.number<uint8_t>();
    if (!kind) bytes_.fail("a heap id is too short");
    if ((*kind >> 4 & 3) == 1) return huge_object(id.substr(1));
    if ((*kind >> 4 & 3) != 0) bytes_.refuse("a group or attribute that is stored as a tiny object");
    const auto offset = h5_number(reader, (offset_bits_ + 7u) / 8);
    const auto length = h5_number(reader, std::min(bytes_for(max_direct_), bytes_for(max_object_)));
    if (!length) bytes_.fail("a heap id is too short");
    if (root_ == kH5Undefined) bytes_.fail("a heap id of an empty heap");
    if (rows_ == 0) return within(root_, start_, *offset, *length);
    return indirect(root_, rows_, *offset, *length, 0);
  }

 private:
  // Objects too large for a block lie on their own; a tree lists them: address, length, number.
  void read_huge(uint64_t tree) {
    const std::function<void(std::string_view)> record = [&](std::string_view fields) {
      if (fields.size() < 24) bytes_.refuse("huge objects of a kind that ferry does not know");
      huge_[number_at<uint64_t>(fields, 16)] = {number_at<uint64_t>(fields, 0),
                                                number_at<uint64_t>(fields, 8)};
    };
    Tree(bytes_, record).read(tree);
  }

  [[nodiscard]] std::string_view huge_object(std::string_view id) const {
    ByteReader reader(id);
    const auto number = h5_number(reader, std::min<size_t>(id.size(), 8));
    const auto found = number ? huge_.find(*number) : huge_.end();
    if (found == huge_.end()) bytes_.fail("a heap id of a huge object that is not listed");
    return bytes_.at(found->second.first, found->second.second, "a huge object");
  }

  [[nodiscard]] uint64_t row_block(uint64_t row) const {
    return row < 2 ? start_ : row > 40 ? uint64_t{1} << 62 : start_ << (row - 1);
  }

  // Offsets count from the block's first byte, its own header included.
  [[nodiscard]] std::string_view within(uint64_t address, uint64_t size, uint64_t offset,
                                        uint64_t length) const {
    const std::string_view block = bytes_.at(address, size, "a block of a fractal heap");
    if (!starts_with(block, "FHDB")) bytes_.fail("no block where a fractal heap says it is");
    if (offset > size || length > size - offset) bytes_.fail("a heap id that leaves its block");
    return block.substr(offset, length);
  }

  [[nodiscard]] std::string_view indirect(uint64_t address, uint64_t rows, uint64_t offset, uint64_t length,
                                          size_t depth) const {
    bytes_.step();
    if (depth > kMaxDepth || rows > 64) bytes_.fail("a fractal heap is too deep");
    const uint64_t head = 5 + 8 + (offset_bits_ + 7u) / 8;
    const std::string_view block = bytes_.at(address, head + 8 * rows * width_, "a block of a fractal heap");
    if (!starts_with(block, "FHIB")) bytes_.fail("no block where a fractal heap says it is");
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t size = row_block(row);
      if (offset >= size * width_) {
        offset -= size * width_;
        continue;
      }
      const auto child = number_at<uint64_t>(block, head + 8 * (row * width_ + offset / size));
      if (child == kH5Undefined) bytes_.fail("a heap id of a block that is absent");
      if (size <= max_direct_) return within(child, size, offset % size, length);
      // A child of this size has as many rows as its blocks fill.
      const auto child_rows = static_cast<uint64_t>(std::bit_width(size / (start_ * width_)));
      return indirect(child, child_rows, offset % size, length, depth + 1);
    }
    bytes_.fail("a heap id beyond its heap");
  }

  const H5Bytes& bytes_;
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> huge_;  // Number: address, length.
  uint64_t max_object_ = 0;
  uint64_t width_ = 0;
  uint64_t start_ = 0;
  uint64_t max_direct_ = 0;
  unsigned offset_bits_ = 0;
  uint64_t root_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace

void walk_h5_dense(const H5Bytes& bytes, uint64_t heap, uint64_t index, size_t id_at,
                   const std::function<void(std::string_view)>& object) {
  const FractalHeap objects(bytes, heap);
  const std::function<void(std::string_view)> record = [&](std::string_view bytes_of_record) {
    if (bytes_of_record.size() < id_at) bytes.fail("a record of an index is too short");
    object(objects.object(bytes_of_record.substr(id_at)));
  };
  Tree(bytes, record).read(index);
}

}  // namespace ferry::checkpoint
