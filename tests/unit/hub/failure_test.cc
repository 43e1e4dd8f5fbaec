// What is said when the Hub, the network or the disk do not play along.
#include <csignal>

#include "hub/failure.h"
#include "unit/hub/hub_fixture.h"

namespace ferry::hub::test {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FailureTest : public HubTest {
 protected:
  /// Every request whose path holds `part` gets this answer.
  void answer(const std::string& part, FakeReply reply) {
    hub_.intercept = [part, reply](const FakeRequest& request) -> std::optional<FakeReply> {
      if (request.path.find(part) == std::string::npos) return std::nullopt;
      return reply;
    };
  }

  std::string failure(ErrorCode code, const HubOptions& options) {
    const std::string text = error_of(code, [&] { download(options); });
    EXPECT_FALSE(fs::exists(repo_folder() / "refs" / "main"));
    return text;
  }
};

TEST_F(FailureTest, GatedNamesThePageWhereTermsAreAccepted) {
  repo().gated = true;
  EXPECT_THAT(failure(ErrorCode::network, options()),
              AllOf(HasSubstr("org/model is gated"), HasSubstr(hub_.endpoint() + "/org/model"),
                    HasSubstr("HF_TOKEN")));
  download(with_token());
}

TEST_F(FailureTest, GatedWithATokenThatWasNotGrantedAccess) {
  answer("/resolve/", hub_error(403, "GatedRepo", "Your request is awaiting a review"));
  EXPECT_THAT(failure(ErrorCode::network, with_token()),
              AllOf(HasSubstr("is gated"), HasSubstr("awaiting a review"),
                    HasSubstr("with the account of your token")));
}

TEST_F(FailureTest, NoRepositoryOrNoAccess) {
  const auto ask = [&](const HubOptions& options) {
    return error_of(ErrorCode::not_found, [&] { Hub(options).download_for_export("org/absent", "main"); });
  };
  EXPECT_THAT(ask(options()),
              AllOf(HasSubstr("no such repository, or no access to it: org/absent"), HasSubstr("--token")));
  EXPECT_THAT(ask(with_token()), HasSubstr("your token may read it"));
  repo().is_private = true;
  EXPECT_THAT(failure(ErrorCode::not_found, options()), HasSubstr("no such repository, or no access"));
  download(with_token());
}

TEST_F(FailureTest, AWrongTokenIsNamedAndNotShown) {
  answer("/api/", hub_error(401, "", "Invalid credentials in Authorization header"));
  HubOptions options = this->options();
  options.token = "hf_wrong";
  EXPECT_THAT(
      failure(ErrorCode::network, options),
      AllOf(HasSubstr("refuses the token"), HasSubstr("Invalid credentials"), Not(HasSubstr("hf_wrong"))));
}

TEST_F(FailureTest, NoRevision) {
  EXPECT_THAT(error_of(ErrorCode::not_found, [&] { Hub(options()).download_for_export("org/model", "v9"); }),
              HasSubstr("org/model has no revision v9"));
}

TEST_F(FailureTest, NoFile) {
  const auto filter = [](const auto&) { return std::vector<std::string>{"nothing.json"}; };
  EXPECT_THAT(
      error_of(ErrorCode::not_found, [&] { Hub(options()).snapshot_download("org/model", "main", filter); }),
      HasSubstr("org/model has no file nothing.json"));
}

TEST_F(FailureTest, AShardThatTheRepositoryLacks) {
  repo().files.erase("model.safetensors");
  repo().files["model.safetensors.index.json"] = {"{\"weight_map\": {}}"};
  repo().files["model-00001-of-00002.safetensors"] = {"1", true};
  EXPECT_THAT(failure(ErrorCode::not_found, options()),
              HasSubstr("has no file model-00002-of-00002.safetensors"));
}

TEST_F(FailureTest, AnIndexThatLeavesTheFolder) {
  repo().files.erase("model.safetensors");
  for (const char* name : {"../../outside.safetensors", "/etc/passwd", "a/../../b", ""}) {
    repo().files["model.safetensors.index.json"] = {"{\"weight_map\": {\"a\": \"" + std::string(name) +
                                                    "\"}}"};
    EXPECT_THAT(failure(ErrorCode::invalid_file, options()), HasSubstr("model.safetensors.index.json"));
  }
}

TEST_F(FailureTest, TooManyRequestsWaitsAsLongAsTheServerAsks) {
  std::atomic<int> refused{0};
  hub_.intercept = [&](const FakeRequest&) -> std::optional<FakeReply> {
    if (refused++ >= 2) return std::nullopt;
    return FakeReply{429, {{"Retry-After", "7"}}, ""};
  };
  download(options());
  ASSERT_EQ(delays_.size(), 2u);
  EXPECT_GE(delays_[0], std::chrono::seconds(7));
  EXPECT_LE(delays_[0], std::chrono::seconds(8));
}

TEST_F(FailureTest, GivesUpAfterFiveTries) {
  answer("/api/", {503, {}, "down"});
  EXPECT_THAT(failure(ErrorCode::network, options()),
              AllOf(HasSubstr("cannot answer now"), HasSubstr("503")));
  EXPECT_EQ(hub_.requests().size(), 5u);
  ASSERT_EQ(delays_.size(), 4u);
  EXPECT_GE(delays_[3], std::chrono::seconds(4));
  EXPECT_LE(delays_[3], std::chrono::seconds(8));
}

TEST_F(FailureTest, AWaitOfHoursIsNotWaitedFor) {
  answer("/api/", {429, {{"Retry-After", "7200"}}, ""});
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("asks for fewer requests"));
  EXPECT_EQ(hub_.requests().size(), 1u);
}

TEST_F(FailureTest, AWrongStatusIsNotAskedForTwice) {
  answer("/api/", {400, {}, "{\"error\": \"bad\\u0007 request\"}"});
  EXPECT_THAT(failure(ErrorCode::network, options()), AllOf(HasSubstr("400"), HasSubstr("bad\\x07 request")));
  EXPECT_EQ(hub_.requests().size(), 1u);
}

TEST_F(FailureTest, ACaptivePortalIsNamedAsSuch) {
  answer("/api/", {200, {{"Content-Type", "text/html"}}, "<html>Please log in</html>"});
  EXPECT_THAT(failure(ErrorCode::network, options()),
              AllOf(HasSubstr("HTML page"), HasSubstr("captive portal")));
  answer("/resolve/", {200, {{"Content-Type", "text/html; charset=utf-8"}}, "<html>Please log in</html>"});
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("HTML page"));
}

TEST_F(FailureTest, BrokenJsonAndAStrangeCommit) {
  answer("/api/", {200, {}, "{\"sha\": "});
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("not valid JSON"));
  answer("/api/", {200, {}, "{\"sha\": \"../../etc\", \"siblings\": []}"});
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("not a commit"));
}

TEST_F(FailureTest, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"../evil.json", "a/../../evil.json", "/evil.json", "a//b", ""}) {
    repo().files = {{name, {"x"}}, {"config.json", {"{}"}}};
    EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("the file name"));
    EXPECT_THAT(error_of(ErrorCode::invalid_file, [&] { Hub(options()).hf_hub_download("org/model", name); }),
                HasSubstr("the file name"));
  }
  EXPECT_FALSE(fs::exists(cache() / "evil.json"));
}

TEST_F(FailureTest, AnEtagThatLeavesTheFolderIsRefused) {
  repo().blobs = false;
  weights().etag = "../../../../evil";
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("does not answer as the Hub does"));
  repo().blobs = true;  // Then the list's tag is no hash either, and the file's own address is asked.
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("does not answer as the Hub does"));
  EXPECT_FALSE(fs::exists(folder_.path() / "evil"));
}

TEST_F(FailureTest, AlteredContentNeverBecomesABlob) {
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.server != "cdn") return std::nullopt;
    FakeReply reply = hub_.usual(request);
    reply.body[1000] ^= 1;
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::network, options()), AllOf(HasSubstr("hash"), HasSubstr("altered")));
  EXPECT_FALSE(fs::exists(repo_folder() / "blobs" / FakeHub::etag_of(weights())));
  EXPECT_FALSE(fs::exists(incomplete()));
  EXPECT_EQ(hub_.count("GET", "/org/model/model.safetensors"), 2u);
}

TEST_F(FailureTest, AlteredSmallFilesAreNoticedToo) {
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (!ends_with(request.path, "config.json")) return std::nullopt;
    FakeReply reply = hub_.usual(request);
    reply.body[3] ^= 1;
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("altered"));
}

TEST_F(FailureTest, ABodyThatIsShorterThanAnnounced) {
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.server != "cdn") return std::nullopt;
    FakeReply reply = ranged({}, weights().content.substr(0, 1000), "x");
    reply.without_length = true;
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("ends after 1000 of 300000 bytes"));
  EXPECT_EQ(hub_.count("GET", "/org/model/model.safetensors"), 5u);
  EXPECT_EQ(fs::file_size(incomplete()), 1000u);
}

TEST_F(FailureTest, AContentLengthThatContradictsTheHub) {
  answer("/org/model/model.safetensors", {200, {}, "short"});
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("300000 bytes by the Hub's word, 5 by"));
}

TEST_F(FailureTest, AnEndlessBodyIsStopped) {
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.server != "cdn") return std::nullopt;
    FakeReply reply{200, {}, noise(100'000)};
    reply.endless = true;
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("goes on after the 300000 bytes"));
  EXPECT_FALSE(fs::exists(incomplete()));
}

TEST_F(FailureTest, AnEndlessModelInfoIsStopped) {
  FakeReply reply{200, {}, std::string(1 << 20, ' ')};
  reply.endless = true;
  answer("/api/", reply);
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("does not end"));
}

TEST_F(FailureTest, ASlowBodyIsGivenUp) {
  HubOptions options = this->options();
  options.max_tries = 1;
  options.download_timeout = std::chrono::seconds(1);
  FakeReply reply{200, {}, weights().content};
  reply.pause = std::chrono::milliseconds(50);
  answer("/org/model/model.safetensors", reply);
  EXPECT_THAT(failure(ErrorCode::network, options), HasSubstr("too slow"));
}

TEST_F(FailureTest, AConnectionThatIsDroppedEachTime) {
  FakeReply reply;
  reply.drop = true;
  answer("/api/", reply);
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("Empty reply"));
  EXPECT_EQ(delays_.size(), 4u);
}

TEST_F(FailureTest, AFileThatChangesMidway) {
  std::atomic<int> seen{0};
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (!ends_with(request.path, "resolve/" + repo().commit + "/config.json")) return std::nullopt;
    const bool first = seen++ == 0;
    const FakeFile& file = repo().files["config.json"];
    FakeReply reply = ranged(request, first ? file.content : "{\"another\": \"one\"}",
                             first ? FakeHub::etag_of(file) : std::string(40, 'c'));
    reply.headers.emplace_back("X-Repo-Commit", repo().commit);
    if (first) reply.cut_at = 5;
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("altered"));
  EXPECT_FALSE(fs::exists(repo_folder() / "blobs" / FakeHub::etag_of(repo().files["config.json"])));
}

TEST_F(FailureTest, ACommitThatChangesMidway) {
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.path.find("/resolve/") == std::string::npos) return std::nullopt;
    FakeReply reply = hub_.usual(request);
    for (auto& [name, value] : reply.headers) {
      if (name == "X-Repo-Commit") value = std::string(40, 'd');
    }
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("at commit dddd"));
}

TEST_F(FailureTest, AtMostFiveRedirects) {
  answer("/api/", {302, {{"Location", "/api/again"}}, ""});
  EXPECT_THAT(failure(ErrorCode::network, options()), HasSubstr("more than 5 redirects"));
  EXPECT_EQ(hub_.requests().size(), 6u);
}

TEST_F(FailureTest, ARedirectToAnotherProtocolIsRefused) {
  for (const char* location :
       {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x", "http://", ""}) {
    answer("/api/", {302, {{"Location", location}}, ""});
    EXPECT_THAT(failure(ErrorCode::network, options()), Not(HasSubstr("pw"))) << location;
  }
}

TEST_F(FailureTest, APlainServerBehindHttpsIsATlsError) {
  HubOptions options = this->options();
  options.endpoint.replace(0, 4, "https");
  EXPECT_EQ(delays_.size(), 0u);
  EXPECT_THAT(failure(ErrorCode::network, options), AllOf(HasSubstr("SSL"), HasSubstr("REQUESTS_CA_BUNDLE")));
}

TEST_F(FailureTest, NoRoomOnTheDisk) {
  const std::string huge = R"({"sha": ")" + repo().commit +
                           R"(", "siblings": [{"rfilename": "config.json", "size": 2,
    "blobId": ")" + std::string(40, 'e') +
                           R"("}, {"rfilename": "model.safetensors", "size": 9223372036854775807,
    "lfs": {"sha256": ")" + std::string(64, 'f') +
                           R"(", "size": 9223372036854775807}}]})";
  answer("/api/", {200, {}, huge});
  EXPECT_THAT(failure(ErrorCode::io, options()), AllOf(HasSubstr("disk space"), HasSubstr("free")));
  EXPECT_EQ(hub_.count("GET", "/resolve/"), 0u);
}

TEST_F(FailureTest, CancelledKeepsWhatCame) {
  HubOptions options = this->options();
  std::atomic<bool> cancel{false};
  options.cancelled = [&] { return cancel.load(); };
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.server != "cdn") return std::nullopt;
    cancel = true;
    FakeReply reply{200, {}, weights().content.substr(0, 2000)};
    reply.declared_length = weights().content.size();
    reply.pause = std::chrono::milliseconds(1);
    return reply;
  };
  EXPECT_THAT(failure(ErrorCode::cancelled, options), HasSubstr("cancelled"));
}

TEST_F(FailureTest, OfflineWithoutACopyMakesNoRequest) {
  EXPECT_THAT(failure(ErrorCode::not_found, offline()),
              AllOf(HasSubstr("not in the cache"), HasSubstr("HF_HUB_OFFLINE")));
  EXPECT_EQ(hub_.requests().size(), 0u);
}

TEST_F(FailureTest, OfflineUsesTheCacheAndNamesWhatIsAbsent) {
  const fs::path folder = download(options());
  const size_t before = hub_.requests().size();
  EXPECT_EQ(download(offline()), folder);
  EXPECT_EQ(hub_.requests().size(), before);
  const auto filter = [](const auto&) {
    return std::vector<std::string>{"config.json", "pytorch_model.bin"};
  };
  EXPECT_THAT(
      error_of(ErrorCode::not_found, [&] { Hub(offline()).snapshot_download("org/model", "main", filter); }),
      AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("offline")));
}

TEST_F(FailureTest, OfflineASnapshotWithAMissingShardDoesNotCount) {
  repo().files.erase("model.safetensors");
  repo().files["model.safetensors.index.json"] = {
      R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})"};
  repo().files["model-00001-of-00002.safetensors"] = {"1", true};
  repo().files["model-00002-of-00002.safetensors"] = {"2", true};
  const fs::path folder = download(options());
  fs::remove(folder / "model-00002-of-00002.safetensors");
  EXPECT_THAT(error_of(ErrorCode::not_found, [&] { download(offline()); }),
              HasSubstr("model-00002-of-00002.safetensors"));
}

TEST_F(FailureTest, AHubThatCannotBeReachedLeavesTheCache) {
  const fs::path folder = download(options());
  HubOptions options = this->options();
  options.endpoint = "http://127.0.0.1:1";
  EXPECT_EQ(download(options), folder);
  EXPECT_THAT(messages(), AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("using what the cache holds")));
  EXPECT_EQ(delays_.size(), 0u);
  options.cache_dir = folder_.path() / "other";
  EXPECT_THAT(error_of(ErrorCode::network, [&] { download(options); }), HasSubstr("127.0.0.1:1"));
}

TEST_F(FailureTest, AHubInTroubleLeavesTheCacheButAMissingRevisionDoesNot) {
  const fs::path folder = download(options());
  answer("/api/", {500, {}, ""});
  EXPECT_EQ(download(options()), folder);
  answer("/api/", hub_error(404, "RevisionNotFound", "gone"));
  error_of(ErrorCode::not_found, [&] { download(options()); });
}

TEST_F(FailureTest, ARevisionCountsOnlyWhenAllIsThere) {
  answer("/org/model/model.safetensors", {404, {}, ""});
  EXPECT_THAT(failure(ErrorCode::not_found, options()), HasSubstr("model.safetensors"));
  error_of(ErrorCode::not_found, [&] { download(offline()); });
}

TEST_F(FailureTest, SignedAddressesAreNotShown) {
  FakeReply reply;
  reply.drop = true;
  answer("/org/model/model.safetensors", reply);
  EXPECT_THAT(failure(ErrorCode::network, options()), Not(HasSubstr("secret")));
  EXPECT_THAT(messages(), Not(HasSubstr("secret")));
}

TEST_F(FailureTest, EndpointsAndTokensThatCannotBe) {
  for (const char* endpoint : {"", "ftp://x", "http://a:b@c", "not a url", "http://h/?q"}) {
    HubOptions options = this->options();
    options.endpoint = endpoint;
    error_of(ErrorCode::usage, [&] { Hub hub(options); });
  }
  HubOptions options = this->options();
  options.token = "a\r\nX-Evil: 1";
  EXPECT_THAT(error_of(ErrorCode::usage, [&] { Hub hub(options); }), Not(HasSubstr("Evil")));
}

}  // namespace
}  // namespace ferry::hub::test
