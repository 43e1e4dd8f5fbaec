#pragma once
#include <cstddef>

namespace ferry {

/// Zeroed memory for one large block that comes and goes: it goes back to the system at once, and on pages of
/// 2 MB the system has 512 times fewer to hand out. Null if there is none.
std::byte* map_large_pages(size_t bytes);
/// `bytes`: as it was mapped.
void unmap_large_pages(std::byte* memory, size_t bytes);

}  // namespace ferry
