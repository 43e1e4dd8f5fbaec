// The table of docs/checkpoints.md.
#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "unit/checkpoint/make_files.h"

namespace ferry {
namespace {

// What stands between the back-quotes of a cell.
std::string quoted_in(const std::string& cell) {
  const size_t begin = cell.find('`'), end = cell.rfind('`');
  return begin == std::string::npos || end == begin ? "" : cell.substr(begin + 1, end - begin - 1);
}

TEST(Docs, EveryExampleOfTheTableOpensAsItsFormat) {
  const std::string text =
      test::read_file(std::filesystem::path(FERRY_TEST_DATA) / "../../docs/checkpoints.md");
  const size_t begin = text.find("| Files | Format | Example |"), end = text.find("\n\n", begin);
  ASSERT_NE(begin, std::string::npos);
  int rows = 0;
  for (const std::string& line : split(std::string_view(text).substr(begin, end - begin), '\n')) {
    const std::vector<std::string> cells = split(line, '|');
    if (cells.size() < 5 || quoted_in(cells[3]).empty()) continue;
    const std::string format = quoted_in(cells[2]);
    const auto example = test::data(quoted_in(cells[3]));
    SCOPED_TRACE(line);
    ++rows;
    const bool is_adapter = format == "adapter";
    const Checkpoint checkpoint = is_adapter ? open_checkpoint(test::data("lora/base"), {.adapter = example})
                                             : open_checkpoint(example);
    EXPECT_FALSE(checkpoint.state.tensors.empty());
    if (!is_adapter) {
      EXPECT_EQ(checkpoint.format, format);
    }
    bool listed = false;
    for (const CheckpointFile& file : checkpoint.files) listed = listed || file.format == format;
    EXPECT_TRUE(listed);
  }
  EXPECT_EQ(rows, 12);
}

}  // namespace
}  // namespace ferry
