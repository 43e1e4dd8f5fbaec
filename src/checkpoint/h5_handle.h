#pragma once
// libhdf5 behind a lock, without plug-ins, without messages of its own. Private to the h5_*.cc files.
#ifndef H5_USE_110_API
#define H5_USE_110_API
#endif
#include <hdf5.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace ferry::checkpoint {

/// Owns a hid_t and closes it.
class H5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  H5Handle() = default;
  H5Handle(hid_t id, Close close) : id_(id), close_(close) {}
  H5Handle(H5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  H5Handle& operator=(H5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  H5Handle(const H5Handle&) = delete;
  H5Handle& operator=(const H5Handle&) = delete;
  ~H5Handle() {
    if (id_ >= 0) close_(id_);
  }

  [[nodiscard]] hid_t id() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// The lock that every call of the library is made under: Debian's build is not thread-safe. Recursive, for
/// a handle may close while it is held. The first call forbids filter plug-ins, which a file could otherwise
/// make the library load from a path, and silences the library's error printing.
std::unique_lock<std::recursive_mutex> h5_lock();

/// The library's innermost description of its last error; "" if there is none.
std::string h5_error();

}  // namespace ferry::checkpoint
