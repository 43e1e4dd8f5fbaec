// Attributes that are lists of strings, fixed or variable in length.
//
// libhdf5 allocates every string of a variable-length attribute before it returns: an attribute of 4,000
// references to one long string would cost 4,000 times its length. So the references are read as they lie
// in the file, by a conversion that changes nothing, and resolved here, against the mapped bytes.
// Source: HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap".
#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/byte_reader.h"
#include "checkpoint/h5_state.h"
#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

constexpr uint64_t kMaxAttributeBytes = 64u << 20;
// A reference in a file with 8-byte addresses: length (4), address of the collection (8), index (4).
constexpr size_t kReferenceBytes = 16;

// Leaves the bytes as they are; the types have the same size.
herr_t keep_bytes(hid_t, hid_t, H5T_cdata_t* data, size_t, size_t, size_t, void*, void*, hid_t) {
  if (data->command == H5T_CONV_INIT) data->need_bkg = H5T_BKG_NO;
  return 0;
}

class AttributeReader {
 public:
  AttributeReader(const H5State& state, hid_t object, std::string_view path, const std::string& name)
      : state_(state),
        path_(path),
        name_(name),
        attribute_(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose) {}

  std::vector<std::string> read() {
    if (!attribute_.valid()) fail("cannot be opened");
    const H5Handle type(H5Aget_type(attribute_.id()), H5Tclose);
    const H5Handle space(H5Aget_space(attribute_.id()), H5Sclose);
    if (!type.valid() || !space.valid()) fail("is broken");
    const hssize_t count = H5Sget_simple_extent_npoints(space.id());
    if (count == 0 || H5Sget_simple_extent_type(space.id()) == H5S_NULL) return {};
    if (count < 0 || static_cast<uint64_t>(count) > kMaxTensors) fail("has too many elements");
    if (H5Tget_class(type.id()) != H5T_STRING) fail("is not a list of strings");
    const auto number = static_cast<uint64_t>(count);
    return H5Tis_variable_str(type.id()) > 0 ? variable(type.id(), number) : fixed(type.id(), number);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    state_.fail(path_, fmt::format("attribute {} {}", name_, what));
  }

  std::vector<char> raw(hid_t type, size_t element, uint64_t count) const {
    // Both factors are far below 32 bits here.
    const uint64_t bytes = element * count;
    if (element > kMaxNameBytes || bytes > kMaxAttributeBytes || bytes > state_.bytes->bytes().size())
      fail(fmt::format("claims {} strings of {} bytes", count, element));
    std::vector<char> out(bytes);
    if (H5Aread(attribute_.id(), type, out.data()) < 0) fail(fmt::format("cannot be read: {}", h5_error()));
    return out;
  }

  std::vector<std::string> fixed(hid_t type, uint64_t count) const {
    const size_t element = H5Tget_size(type);
    const std::vector<char> bytes = raw(type, element, count);
    std::vector<std::string> out;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view text(bytes.data() + i * element, element);
      out.emplace_back(text.substr(0, text.find('\0')));
    }
    return out;
  }

  std::vector<std::string> variable(hid_t type, uint64_t count) const {
    size_t address_bytes = 0, size_bytes = 0;
    const H5Handle plist(H5Fget_create_plist(state_.file.id()), H5Pclose);
    if (H5Pget_sizes(plist.id(), &address_bytes, &size_bytes) < 0 || address_bytes != 8 || size_bytes != 8)
      fail("lies in a file with other than 8-byte addresses");
    const H5Handle reference(H5Tcreate(H5T_OPAQUE, kReferenceBytes), H5Tclose);
    H5Tregister(H5T_PERS_SOFT, "keep", type, reference.id(), keep_bytes);
    std::vector<char> bytes;
    try {
      bytes = raw(reference.id(), kReferenceBytes, count);
    } catch (...) {
      H5Tunregister(H5T_PERS_SOFT, "keep", type, reference.id(), keep_bytes);
      throw;
    }
    H5Tunregister(H5T_PERS_SOFT, "keep", type, reference.id(), keep_bytes);

    std::vector<std::string> out;
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view at(bytes.data() + i * kReferenceBytes, kReferenceBytes);
      std::string_view text = heap_object(number_at<uint64_t>(at, 4), number_at<uint32_t>(at, 12));
      text = text.substr(0, std::min<size_t>(text.size(), number_at<uint32_t>(at, 0)));
      text = text.substr(0, text.find('\0'));
      total += text.size();
      if (text.size() > kMaxNameBytes || total > kMaxAttributeBytes) fail("holds strings that are too long");
      out.emplace_back(text);
    }
    return out;
  }

  // Object `index` of the global heap collection at `address`; that of address 0 is the empty string.
  [[nodiscard]] std::string_view heap_object(uint64_t address, uint32_t index) const {
    if (address == 0) return {};
    hsize_t user_block = 0;
    H5Pget_userblock(H5Handle(H5Fget_create_plist(state_.file.id()), H5Pclose).id(), &user_block);
    const auto bytes = state_.bytes->bytes();
    const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (address > file.size() || user_block > file.size() - address) fail("refers past the end of the file");
    ByteReader header(file, address + user_block);
    const auto signature = header.take(8);
    const auto size = header.number<uint64_t>();
    if (!size || *signature != std::string_view("GCOL\1\0\0\0", 8) || *size < 16 ||
        *size - 16 > header.left())
      fail("refers to something else than a global heap");
    ByteReader reader(file.substr(header.at(), *size - 16));
    while (reader.left() >= 16) {
      const auto object = *reader.number<uint16_t>();
      reader.take(6);
      const auto length = *reader.number<uint64_t>();
      if (object == 0) break;  // The free space at the end.
      const auto content = reader.take(length);
      if (!content) break;
      if (object == index) return *content;
      reader.take((8 - length % 8) % 8);
    }
    fail(fmt::format("refers to object {} that its global heap lacks", index));
  }

  const H5State& state_;
  std::string_view path_;
  const std::string& name_;
  H5Handle attribute_;
};

}  // namespace

std::vector<std::string> read_h5_strings(const H5State& state, hid_t object, std::string_view path,
                                         const std::string& attribute) {
  return AttributeReader(state, object, path, attribute).read();
}

}  // namespace ferry::checkpoint
