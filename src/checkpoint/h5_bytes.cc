#include "checkpoint/h5_bytes.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
// A tf_model.h5 of 10,000 weights takes some 500,000.
constexpr uint64_t kMaxSteps = 20'000'000;
constexpr size_t kMaxMessages = 100'000;

// Collects the messages of an object header, block by block.
class HeaderReader {
 public:
  explicit HeaderReader(const H5Bytes& bytes) : bytes_(bytes) {}

  std::vector<H5Message> read(uint64_t address) {
    const std::string_view head = bytes_.from(address, "an object header");
    if (starts_with(head, "OHDR")) {
      version2(head, address);
    } else {
      version1(head, address);
    }
    for (size_t i = 0; i < continuations_.size(); ++i) {
      const auto [at, size] = continuations_[i];
      std::string_view block = bytes_.at(at, size, "a continued object header");
      if (is_version2_) {
        if (!starts_with(block, "OCHK") || block.size() < 8)
          bytes_.fail("a continued object header is broken");
        block = block.substr(4, block.size() - 8);
      }
      is_version2_ ? messages2(block) : messages1(block);
    }
    return std::move(out_);
  }

 private:
  void version1(std::string_view head, uint64_t address) {
    ByteReader reader(head);
    const auto version = reader.number<uint8_t>();
    reader.take(7);  // Reserved, number of messages, references.
    const auto size = reader.number<uint32_t>();
    if (!size || *version != 1) bytes_.fail(fmt::format("no object header at byte {}", address));
    reader.take(4);
    const auto block = reader.take(*size);
    if (!block) bytes_.fail("an object header runs over the end of the file");
    messages1(*block);
  }

  void version2(std::string_view head, uint64_t address) {
    is_version2_ = true;
    ByteReader reader(head, 4);
    const auto version = reader.number<uint8_t>();
    const auto flags = reader.number<uint8_t>();
    if (!flags || *version != 2) bytes_.fail(fmt::format("no object header at byte {}", address));
    has_order_ = (*flags & 0x04) != 0;
    if ((*flags & 0x20) != 0) reader.take(16);  // Times.
    if ((*flags & 0x10) != 0) reader.take(4);   // Limits of attribute storage.
    const auto size = h5_number(reader, size_t{1} << (*flags & 3));
    const auto block = size ? reader.take(*size) : std::nullopt;
    if (!block) bytes_.fail("an object header runs over the end of the file");
    messages2(*block);
  }

  void messages1(std::string_view block) {
    ByteReader reader(block);
    while (reader.left() >= 8) {
      const auto type = *reader.number<uint16_t>();
      const auto size = *reader.number<uint16_t>();
      const auto flags = *reader.number<uint8_t>();
      reader.take(3);
      add(type, flags, reader.take(size));
    }
  }

  void messages2(std::string_view block) {
    ByteReader reader(block);
    const size_t head = has_order_ ? 6 : 4;
    while (reader.left() >= head) {
      const auto type = *reader.number<uint8_t>();
      const auto size = *reader.number<uint16_t>();
      const auto flags = *reader.number<uint8_t>();
      if (has_order_) reader.take(2);
      add(type, flags, reader.take(size));
    }
  }

  void add(uint16_t type, uint8_t flags, std::optional<std::string_view> data) {
    bytes_.step();
    if (!data) bytes_.fail("a message runs over its object header");
    if (out_.size() >= kMaxMessages) bytes_.fail("an object header has too many messages");
    const H5Message message{static_cast<H5MessageType>(type), flags, *data};
    if (message.type == H5MessageType::continuation) {
      ByteReader reader(*data);
      const auto address = reader.number<uint64_t>();
      const auto size = reader.number<uint64_t>();
      if (!size) bytes_.fail("a continuation message is too short");
      continuations_.emplace_back(*address, *size);
    } else {
      out_.push_back(message);
    }
  }

  const H5Bytes& bytes_;
  std::vector<H5Message> out_;
  std::vector<std::pair<uint64_t, uint64_t>> continuations_;
  bool is_version2_ = false;
  bool has_order_ = false;
};

}  // namespace

std::optional<uint64_t> h5_number(ByteReader& reader, size_t bytes) {
  const auto raw = reader.take(bytes);
  if (!raw) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = 0; i < bytes && i < 8; ++i) value |= uint64_t{static_cast<uint8_t>((*raw)[i])} << (8 * i);
  return value;
}

H5Bytes::H5Bytes(std::shared_ptr<const ByteSource> source, std::string_view name)
    : source_(std::move(source)),
      name_(name),
      file_(reinterpret_cast<const char*>(source_->bytes().data()), source_->bytes().size()) {
  read_superblock();
}

void H5Bytes::read_superblock() {
  // It lies at byte 0, or behind a user block of 512, 1024, 2048, ... bytes.
  uint64_t at = 0;
  while (at < file_.size() && !starts_with(file_.substr(at), kSignature)) at = at == 0 ? 512 : 2 * at;
  if (at >= file_.size()) fail("not an HDF5 file");
  ByteReader reader(file_, at + kSignature.size());
  const auto version = reader.number<uint8_t>();
  if (!version || *version > 3) fail("an HDF5 superblock of an unknown version");
  const bool is_old = *version < 2;
  if (is_old) reader.take(4);
  const auto address_bytes = reader.number<uint8_t>();
  const auto length_bytes = reader.number<uint8_t>();
  if (!length_bytes) fail("truncated");
  if (*address_bytes != 8 || *length_bytes != 8)
    refuse(fmt::format("addresses of {} bytes, expected 8", *address_bytes));
  reader.take(is_old ? (*version == 1 ? 13 : 9) : 1);
  const auto base = reader.number<uint64_t>();
  reader.take(8);  // Free space, or the superblock's extension.
  const auto end = reader.number<uint64_t>();
  if (is_old) reader.take(16);  // Driver information; name of the root.
  const auto root = reader.number<uint64_t>();
  if (!root) fail("truncated");
  // A file with a user block counts from its end.
  base_ = *base;
  if (base_ != at && base_ != 0) fail("its base address is not where its superblock is");
  if (*end > file_.size() || base_ > file_.size())
    fail(fmt::format("truncated: {} bytes, {} expected", file_.size(), *end));
  root_ = *root;
}

std::string_view H5Bytes::from(uint64_t address, std::string_view what) const {
  if (address > file_.size() || base_ > file_.size() - address || address + base_ == file_.size())
    fail(fmt::format("{} lies beyond the end of the file", what));
  return file_.substr(address + base_);
}

std::string_view H5Bytes::at(uint64_t address, uint64_t size, std::string_view what) const {
  if (size == 0) return {};
  const std::string_view out = from(address, what);
  if (size > out.size()) fail(fmt::format("{} runs over the end of the file", what));
  return out.substr(0, size);
}

std::vector<H5Message> H5Bytes::messages(uint64_t address) const {
  return HeaderReader(*this).read(address);
}

void H5Bytes::step(uint64_t count) const {
  steps_ += count;
  if (steps_ > kMaxSteps) fail("its structures refer to each other too often");
}

void H5Bytes::fail(std::string_view reason) const {
  throw_invalid(name_, reason);
}

void H5Bytes::refuse(std::string_view reason) const {
  throw Error(ErrorCode::unsupported, fmt::format("{}: {}", printable(name_, 300), reason));
}

}  // namespace ferry::checkpoint
