// `ferry hub`, and the cache that it shows.
#include "hub/command.h"

#include <sstream>

#include "hub/scan_cache.h"
#include "unit/hub/hub_fixture.h"

namespace ferry::hub::test {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandTest : public HubTest {
 protected:
  std::string run(const HubArguments& arguments, const HubOptions& options) {
    std::ostringstream out;
    EXPECT_EQ(run_hub(arguments, options, out), 0);
    return out.str();
  }
  using Action = HubArguments::Action;
};

TEST_F(CommandTest, DownloadPrintsTheFolder) {
  const std::string folder = (repo_folder() / "snapshots" / repo().commit).string();
  EXPECT_EQ(run({.action = Action::download, .model = "org/model@main"}, options()), folder + "\n");
  EXPECT_THAT(messages(), HasSubstr("is commit " + repo().commit));
  EXPECT_FALSE(fs::exists(folder + "/pytorch_model.bin"));
}

TEST_F(CommandTest, DownloadByPattern) {
  run({.action = Action::download, .model = "org/model", .include = {"*.json"}, .exclude = {"tok*"}},
      options());
  const fs::path folder = repo_folder() / "snapshots" / repo().commit;
  EXPECT_TRUE(fs::exists(folder / "config.json"));
  EXPECT_FALSE(fs::exists(folder / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(folder / "model.safetensors"));
  EXPECT_THAT(
      error_of(
          ErrorCode::not_found,
          [&] { run({.action = Action::download, .model = "org/model", .include = {"*.zip"}}, options()); }),
      HasSubstr("no file of org/model matches *.zip"));
}

TEST_F(CommandTest, LsShowsSizesAndOfflineWhatIsCached) {
  const HubArguments arguments{.action = Action::ls, .model = "org/model"};
  EXPECT_THAT(run(arguments, options()), HasSubstr("  300 kB  model.safetensors\n"));
  download(options());
  const std::string cached = run(arguments, offline());
  EXPECT_THAT(cached, HasSubstr("300 kB  model.safetensors\n"));
  EXPECT_THAT(cached, Not(HasSubstr("pytorch_model.bin")));
}

TEST_F(CommandTest, ScanCacheCountsEachContentOnce) {
  download(options());
  repo().commit = std::string(40, 'b');
  download(options());
  const HFCacheInfo info = scan_cache_dir(cache());
  ASSERT_EQ(info.repos.size(), 1u);
  EXPECT_EQ(info.repos[0].repo_id, "org/model");
  EXPECT_EQ(info.repos[0].nb_files, 3u);
  ASSERT_EQ(info.repos[0].revisions.size(), 2u);
  EXPECT_THAT(info.repos[0].revisions[0].refs, ::testing::IsEmpty());
  EXPECT_THAT(info.repos[0].revisions[1].refs, ::testing::ElementsAre("main"));
  EXPECT_EQ(info.size_on_disk, info.repos[0].revisions[0].size_on_disk);
  const std::string table = run({.action = Action::scan_cache}, options());
  EXPECT_THAT(table, HasSubstr("org/model model"));
  EXPECT_THAT(table, HasSubstr("1 repositories, 300 kB"));
}

TEST_F(CommandTest, ScanCacheReportsWhatIsDamaged) {
  download(options());
  write_file(cache() / "version.txt", "1");
  fs::create_directories(cache() / "models--no--snapshots");
  fs::create_directories(cache() / "datasets--d" / "snapshots" / "x");
  fs::create_symlink("../../blobs/none", cache() / "datasets--d" / "snapshots" / "x" / "f");
  write_file(cache() / "spaces--s" / "refs" / "main", std::string(40, 'a'));
  fs::create_directories(cache() / "spaces--s" / "snapshots");
  const HFCacheInfo info = scan_cache_dir(cache());
  EXPECT_EQ(info.repos.size(), 1u);
  EXPECT_EQ(info.warnings.size(), 4u);
  error_of(ErrorCode::not_found, [&] { scan_cache_dir(cache() / "none"); });
}

}  // namespace
}  // namespace ferry::hub::test
