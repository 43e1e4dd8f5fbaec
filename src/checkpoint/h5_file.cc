#include "checkpoint/h5_file.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/h5_state.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

constexpr size_t kMaxComponents = 64;
constexpr size_t kMaxSplits = 10'000;  // weight_names0, weight_names1, ...

H5Handle access_list() {
  H5Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  // A checkpoint on a file system without locks is still a checkpoint.
  H5Pset_file_locking(list.id(), false, true);
#endif
  return list;
}

}  // namespace

void H5State::fail(std::string_view path, std::string_view reason) const {
  throw_invalid(name, fmt::format("{}: {}", in_quotes(path), reason));
}

void H5State::refuse(std::string_view path, std::string_view reason) const {
  throw Error(ErrorCode::unsupported,
              fmt::format("{}: {}: {}", printable(name, 300), in_quotes(path), reason));
}

H5Handle H5State::open_object(std::string_view path) const {
  H5Handle at(H5Gopen2(file.id(), "/", H5P_DEFAULT), H5Gclose);
  size_t components = 0;
  for (const std::string& component : split(path, '/')) {
    if (component.empty()) continue;
    if (component == "." || component.find('\0') != std::string::npos || ++components > kMaxComponents ||
        component.size() > kMaxNameBytes)
      fail(path, "not a path that ferry follows");
    if (!at.valid() || H5Iget_type(at.id()) != H5I_GROUP) return {};
    const htri_t exists = H5Lexists(at.id(), component.c_str(), H5P_DEFAULT);
    if (exists < 0) fail(path, fmt::format("broken group: {}", h5_error()));
    if (exists == 0) return {};
    H5L_info_t info;
    if (H5Lget_info(at.id(), component.c_str(), &info, H5P_DEFAULT) < 0)
      fail(path, fmt::format("broken link: {}", h5_error()));
    if (info.type != H5L_TYPE_HARD) {
      refuse(path, fmt::format("{} is {} link, which ferry does not follow", in_quotes(component),
                               info.type == H5L_TYPE_SOFT ? "a soft" : "an external"));
    }
    at = H5Handle(H5Oopen(at.id(), component.c_str(), H5P_DEFAULT), H5Oclose);
    if (!at.valid()) fail(path, fmt::format("cannot be opened: {}", h5_error()));
  }
  return at;
}

std::shared_ptr<const H5File> H5File::open(const std::filesystem::path& path) {
  auto state = std::make_shared<H5State>();
  state->name = path.string();
  state->bytes = file_source(path);
  const auto lock = h5_lock();
  state->file = H5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access_list().id()), H5Fclose);
  if (!state->file.valid())
    throw_invalid(state->name, fmt::format("not an HDF5 file, or truncated: {}", h5_error()));
  return std::shared_ptr<H5File>(new H5File(std::move(state)));
}

std::shared_ptr<const H5File> H5File::open(std::shared_ptr<const ByteSource> image, std::string_view name) {
  auto state = std::make_shared<H5State>();
  state->name = name;
  state->bytes = std::move(image);
  const auto lock = h5_lock();
  const H5Handle list = access_list();
  H5Pset_fapl_core(list.id(), 1 << 16, false);
  // The library copies the image, whatever the pointer's constness says.
  auto* data = const_cast<std::byte*>(state->bytes->bytes().data());
  if (state->bytes->bytes().empty() || H5Pset_file_image(list.id(), data, state->bytes->bytes().size()) < 0)
    throw_invalid(state->name, "not an HDF5 file");
  state->file = H5Handle(H5Fopen("image", H5F_ACC_RDONLY, list.id()), H5Fclose);
  if (!state->file.valid())
    throw_invalid(state->name, fmt::format("not an HDF5 file, or truncated: {}", h5_error()));
  return std::shared_ptr<H5File>(new H5File(std::move(state)));
}

H5File::~H5File() {
  const auto lock = h5_lock();
  state_.reset();
}

H5File::Kind H5File::kind(std::string_view path) const {
  const auto lock = h5_lock();
  const H5Handle object = state_->open_object(path);
  if (!object.valid()) return Kind::absent;
  return H5Iget_type(object.id()) == H5I_DATASET ? Kind::dataset : Kind::group;
}

std::optional<std::vector<std::string>> H5File::strings(std::string_view path, std::string_view name) const {
  const auto lock = h5_lock();
  const H5Handle object = state_->open_object(path);
  if (!object.valid()) return std::nullopt;
  const auto has = [&](const std::string& attribute) {
    return H5Aexists(object.id(), attribute.c_str()) > 0;
  };
  const std::string whole(name);
  if (has(whole)) return read_h5_strings(*state_, object.id(), path, whole);
  if (!has(whole + "0")) return std::nullopt;
  std::vector<std::string> out;
  for (size_t i = 0; has(fmt::format("{}{}", name, i)); ++i) {
    if (i >= kMaxSplits)
      state_->fail(path, fmt::format("attribute {} has more than {} parts", name, kMaxSplits));
    for (std::string& item : read_h5_strings(*state_, object.id(), path, fmt::format("{}{}", name, i)))
      out.push_back(std::move(item));
    if (out.size() > kMaxTensors)
      state_->fail(path, fmt::format("attribute {} names more than {} weights", name, kMaxTensors));
  }
  return out;
}

Weight H5File::dataset(std::string_view path) const {
  const auto lock = h5_lock();
  H5Handle object = state_->open_object(path);
  if (!object.valid()) state_->fail(path, "there is no such dataset");
  if (H5Iget_type(object.id()) != H5I_DATASET) state_->fail(path, "not a dataset");
  return read_h5_dataset(state_, std::move(object), path);
}

}  // namespace ferry::checkpoint
