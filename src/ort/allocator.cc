// Memory of sessions that keep none between runs.
#include <cstdlib>

#include "base/large_pages.h"
#include "ort/api.h"

namespace ferry::ort {
namespace {

constexpr size_t kAlignment = 64;           // What ONNX Runtime's own allocator gives.
constexpr size_t kLarge = size_t{1} << 22;  // From here on on pages of their own.

// The size stands before the block.
void* allocate(OrtAllocator*, size_t bytes) {
  if (bytes == 0) return nullptr;
  const size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
  std::byte* memory =
      size >= kLarge ? map_large_pages(size) : static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
  if (memory == nullptr) throw std::bad_alloc();
  *reinterpret_cast<size_t*>(memory) = size;
  return memory + kAlignment;
}

void release(OrtAllocator*, void* block) {
  if (block == nullptr) return;
  std::byte* memory = static_cast<std::byte*>(block) - kAlignment;
  const size_t size = *reinterpret_cast<size_t*>(memory);
  if (size >= kLarge) {
    unmap_large_pages(memory, size);
  } else {
    std::free(memory);
  }
}

const OrtMemoryInfo* info_of(const OrtAllocator* allocator) {
  return static_cast<const LargePageAllocator*>(allocator)->info;
}

}  // namespace

LargePageAllocator::LargePageAllocator()
    : OrtAllocator{}, info(Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault)) {
  version = ORT_API_VERSION;
  Alloc = allocate;
  Free = release;
  Info = info_of;
  Reserve = allocate;
}

}  // namespace ferry::ort
