#pragma once
// Extended grapheme clusters, Unicode 16 (UAX #29).

namespace ferry::tokenizers {

/// Where the cluster ends that starts at `p` (p < end).
const char* next_grapheme(const char* p, const char* end);

}  // namespace ferry::tokenizers
