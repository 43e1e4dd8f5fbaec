#pragma once
// The generated data and how to walk it. For the sources of this folder only.
#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry::tokenizers::tables {

/// Calls f(first, last, value) for each run of a generated "Runs" table.
template <typename F>
void for_each_run(std::span<const uint32_t> runs, F&& f) {
  uint32_t at = 0;
  for (size_t i = 0; i + 3 <= runs.size(); i += 3) {
    const uint32_t first = at + runs[i];
    const uint32_t last = first + runs[i + 1];
    f(first, last, runs[i + 2]);
    at = last + 1;
  }
}

extern const std::span<const uint32_t> canonical;  ///< {c, n, c1 .. cn}: NFD of c.
extern const std::span<const uint32_t>
    compatible;  ///< {c, n, c1 .. cn}: NFKD of c where it differs from NFD.
extern const std::span<const uint32_t> compositions;    ///< {a, b, c}: a + b composes to c.
extern const std::span<const uint32_t> combining_runs;  ///< Canonical combining class.
extern const std::span<const uint32_t> grapheme_runs;   ///< Grapheme_Cluster_Break.
extern const std::span<const uint32_t> pictographic_runs;
extern const std::span<const uint32_t>
    conjunct_runs;  ///< Indic_Conjunct_Break: 1 linker, 2 consonant, 3 extend.

}  // namespace ferry::tokenizers::tables
