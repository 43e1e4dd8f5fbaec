#include "base/large_pages.h"

#include <sys/mman.h>

#include <cstdint>

namespace ferry {
namespace {

constexpr size_t kPage = size_t{1} << 21;

size_t whole_pages(size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

std::byte* map_large_pages(size_t bytes) {
  const size_t size = whole_pages(bytes);
  void* mapped = ::mmap(nullptr, size + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const size_t before = (kPage - reinterpret_cast<uintptr_t>(begin) % kPage) % kPage;
  if (before > 0) ::munmap(begin, before);
  begin += before;
  ::munmap(begin + size, kPage - before);
  ::madvise(begin, size, MADV_HUGEPAGE);  // Advice: without it the memory is there all the same.
  return begin;
}

void unmap_large_pages(std::byte* memory, size_t bytes) {
  ::munmap(memory, whole_pages(bytes));
}

}  // namespace ferry
