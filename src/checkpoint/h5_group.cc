#include "checkpoint/h5_group.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

constexpr size_t kMaxDepth = 32;

// Groups of the old style: a B-tree (version 1) of symbol nodes, their names in a local heap.
class SymbolTable {
 public:
  SymbolTable(const H5Bytes& bytes, H5Group& out) : bytes_(bytes), out_(out) {}

  void read(std::string_view message) {
    ByteReader reader(message);
    const auto tree = reader.number<uint64_t>();
    const auto heap = reader.number<uint64_t>();
    if (!heap) bytes_.fail("a symbol table message is too short");
    const std::string_view head = bytes_.at(*heap, 32, "a local heap");
    if (!starts_with(head, "HEAP")) bytes_.fail("no local heap where a group says it is");
    names_ = bytes_.at(number_at<uint64_t>(head, 24), number_at<uint64_t>(head, 8), "a local heap");
    node(*tree, 0);
  }

 private:
  void node(uint64_t address, size_t depth) {
    bytes_.step();
    if (depth > kMaxDepth) bytes_.fail("a group's tree is too deep");
    const std::string_view head = bytes_.at(address, 24, "a group's tree");
    if (!starts_with(head, "TREE") || head[4] != 0) bytes_.fail("no tree where a group says it is");
    const auto level = static_cast<uint8_t>(head[5]);
    const uint64_t children = number_at<uint16_t>(head, 6);
    // Key, child, key, child, ..., key.
    const std::string_view body = bytes_.at(address, 24 + 16 * children + 8, "a group's tree").substr(24);
    for (uint64_t i = 0; i < children; ++i) {
      const auto child = number_at<uint64_t>(body, 16 * i + 8);
      level == 0 ? symbols(child) : node(child, depth + 1);
    }
  }

  void symbols(uint64_t address) {
    const std::string_view head = bytes_.at(address, 8, "a symbol node");
    if (!starts_with(head, "SNOD")) bytes_.fail("no symbol node where a tree says it is");
    const uint64_t count = number_at<uint16_t>(head, 6);
    const std::string_view body = bytes_.at(address, 8 + 40 * count, "a symbol node").substr(8);
    bytes_.step(count + 1);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view entry = body.substr(40 * i, 40);
      const auto at = number_at<uint64_t>(entry, 0);
      if (at >= names_.size()) bytes_.fail("a link's name lies outside of its heap");
      const std::string_view name = names_.substr(at, kMaxNameBytes + 1);
      const size_t end = name.find('\0');
      if (end == std::string_view::npos) bytes_.fail("a link's name does not end");
      H5Link link{H5Link::Kind::hard, number_at<uint64_t>(entry, 8)};
      if (number_at<uint32_t>(entry, 16) == 2) link.kind = H5Link::Kind::soft;
      out_.emplace(name.substr(0, end), link);
    }
  }

  const H5Bytes& bytes_;
  H5Group& out_;
  std::string_view names_;
};

void add_link(const H5Bytes& bytes, std::string_view message, H5Group& out) {
  bytes.step();
  ByteReader reader(message);
  const auto version = reader.number<uint8_t>();
  const auto flags = reader.number<uint8_t>();
  if (!flags || *version != 1) bytes.fail("a link message of an unknown version");
  const uint8_t type = (*flags & 0x08) != 0 ? reader.number<uint8_t>().value_or(255) : 0;
  if ((*flags & 0x04) != 0) reader.take(8);  // Creation order.
  if ((*flags & 0x10) != 0) reader.take(1);  // Character set.
  const auto length = h5_number(reader, size_t{1} << (*flags & 3));
  const auto name = length && *length <= kMaxNameBytes ? reader.take(*length) : std::nullopt;
  if (!name) bytes.fail("a link message is broken");
  H5Link link{type == 1 ? H5Link::Kind::soft : H5Link::Kind::external, 0};
  if (type == 0) {
    const auto address = reader.number<uint64_t>();
    if (!address) bytes.fail("a link message is too short");
    link = {H5Link::Kind::hard, *address};
  }
  out.emplace(*name, link);
}

// Groups of the new style with more than eight links.
void add_dense_links(const H5Bytes& bytes, std::string_view message, H5Group& out) {
  ByteReader reader(message);
  reader.take(1);
  const auto flags = reader.number<uint8_t>();
  if (flags && (*flags & 1) != 0) reader.take(8);
  const auto heap = reader.number<uint64_t>();
  const auto index = reader.number<uint64_t>();
  if (!index) bytes.fail("a link info message is too short");
  if (*heap == kH5Undefined || *index == kH5Undefined) return;
  walk_h5_dense(bytes, *heap, *index, 4, [&](std::string_view object) { add_link(bytes, object, out); });
}

}  // namespace

H5Group read_h5_group(const H5Bytes& bytes, const std::vector<H5Message>& messages) {
  H5Group out;
  for (const H5Message& message : messages) {
    if (message.type == H5MessageType::symbol_table) SymbolTable(bytes, out).read(message.data);
    if (message.type == H5MessageType::link) add_link(bytes, message.data, out);
    if (message.type == H5MessageType::link_info) add_dense_links(bytes, message.data, out);
  }
  return out;
}

}  // namespace ferry::checkpoint
