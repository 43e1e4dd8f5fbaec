// huggingface_hub's environment.
#include <map>

#include "unit/hub/hub_fixture.h"

namespace ferry::hub::test {
namespace {

HubOptions from(const std::map<std::string, std::string>& variables) {
  return HubOptions::from_environment([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(OptionsFromEnvironment, CacheFolder) {
  EXPECT_EQ(from({{"HOME", "/h"}}).cache_dir, "/h/.cache/huggingface/hub");
  EXPECT_EQ(from({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}).cache_dir, "/x/huggingface/hub");
  EXPECT_EQ(from({{"HOME", "/h"}, {"HF_HOME", "~/hf"}}).cache_dir, "/h/hf/hub");
  EXPECT_EQ(from({{"HF_HOME", "/a"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}).cache_dir, "/old");
  EXPECT_EQ(from({{"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HUB_CACHE", "/new"}}).cache_dir, "/new");
  EXPECT_EQ(from({{"HF_HUB_CACHE", "$BASE/${SUB}/$NONE"}, {"BASE", "/b"}, {"SUB", "s"}}).cache_dir,
            "/b/s/$NONE");
  EXPECT_EQ(from({{"HF_HUB_CACHE", ""}, {"HF_HOME", ""}, {"HOME", "/h"}}).cache_dir,
            "/h/.cache/huggingface/hub");
}

TEST(OptionsFromEnvironment, Token) {
  EXPECT_EQ(from({{"HF_TOKEN", " hf_a\n"}, {"HUGGING_FACE_HUB_TOKEN", "hf_b"}}).token, "hf_a");
  EXPECT_EQ(from({{"HUGGING_FACE_HUB_TOKEN", "hf_b"}}).token, "hf_b");
  const TemporaryFolder folder;
  write_file(folder.path() / "token", "hf_file\n");
  write_file(folder.path() / "other", "hf_other");
  const std::string home = folder.path().string();
  EXPECT_EQ(from({{"HF_HOME", home}}).token, "hf_file");
  EXPECT_EQ(from({{"HF_HOME", home}, {"HF_TOKEN", "hf_a"}}).token, "hf_a");
  EXPECT_EQ(from({{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/other"}}).token, "hf_other");
  EXPECT_EQ(from({{"HF_HOME", home}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, "");
  EXPECT_THROW(from({{"HF_TOKEN", "a\nb"}}), Error);
}

TEST(OptionsFromEnvironment, TheRest) {
  const HubOptions none = from({{"HOME", "/h"}});
  EXPECT_EQ(none.endpoint, "https://huggingface.co");
  EXPECT_FALSE(none.offline);
  EXPECT_EQ(none.token, "");
  EXPECT_EQ(from({{"HF_ENDPOINT", "http://mirror:1/"}}).endpoint, "http://mirror:1");
  EXPECT_TRUE(from({{"HF_HUB_OFFLINE", "1"}}).offline);
  EXPECT_TRUE(from({{"TRANSFORMERS_OFFLINE", "Yes"}}).offline);
  EXPECT_FALSE(from({{"HF_HUB_OFFLINE", "0"}, {"TRANSFORMERS_OFFLINE", "1"}}).offline);
  EXPECT_EQ(from({{"HF_HUB_DOWNLOAD_TIMEOUT", "30"}}).download_timeout, std::chrono::seconds(30));
  EXPECT_THROW(from({{"HF_HUB_DOWNLOAD_TIMEOUT", "soon"}}), Error);
  EXPECT_EQ(from({{"CURL_CA_BUNDLE", "/c"}, {"REQUESTS_CA_BUNDLE", "/r"}}).ca_bundle, "/r");
  EXPECT_EQ(from({{"SSL_CERT_FILE", "/s"}}).ca_bundle, "/s");
  const HubOptions proxied =
      from({{"HTTPS_PROXY", "http://p:1"}, {"all_proxy", "http://all:2"}, {"NO_PROXY", "localhost"}});
  EXPECT_EQ(proxied.https_proxy, "http://p:1");
  EXPECT_EQ(proxied.http_proxy, "http://all:2");
  EXPECT_EQ(proxied.no_proxy, "localhost");
}

TEST_F(HubTest, AProxyIsUsedUnlessTheHostIsExempt) {
  HubOptions options = this->options();
  const LoopbackServer proxy("proxy", [&](const FakeRequest& request) {
    EXPECT_THAT(request.path, ::testing::StartsWith("http://127.0.0.1"));
    return FakeReply{403, {}, "no"};
  });
  options.http_proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
  error_of(ErrorCode::network, [&] { download(options); });
  options.no_proxy = "127.0.0.1,localhost";
  download(options);
}

}  // namespace
}  // namespace ferry::hub::test
