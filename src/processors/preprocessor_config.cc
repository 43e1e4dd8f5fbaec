#include "processors/preprocessor_config.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry::processors {

PreprocessorConfig read_preprocessor_config(const std::filesystem::path& folder) {
  constexpr uint64_t kMost = 16u << 20;
  PreprocessorConfig out;
  const auto config = folder / "config.json";
  if (ferry::is_regular_file(config)) out.model = read_text(config, kMost);
  for (const char* name : {"preprocessor_config.json", "processor_config.json"}) {
    if (!ferry::is_regular_file(folder / name)) continue;
    out.preprocessor = read_text(folder / name, kMost);
    return out;
  }
  throw Error(ErrorCode::not_found,
              fmt::format("there is no preprocessor_config.json in {}", printable(folder.string())));
}

}  // namespace ferry::processors
