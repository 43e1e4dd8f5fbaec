// A Hub that speaks https.
#include "unit/hub/hub_fixture.h"

namespace ferry::hub::test {
namespace {
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TlsTest : public HubTest {
 protected:
  TlsTest() : HubTest(true) {
    write_file(bundle(), Certificate::shared().pem());
    // Large files lie on the plain port, to which an https Hub must not lead.
    for (auto& [name, file] : repo().files) file.lfs = false;
  }

  std::filesystem::path bundle() { return folder_.path() / "ca.pem"; }

  HubOptions trusting() {
    HubOptions out = with_token();
    out.ca_bundle = bundle();
    return out;
  }
};

TEST_F(TlsTest, AStrangersCertificateIsRefusedAndNotAskedForTwice) {
  EXPECT_THAT(error_of(ErrorCode::network, [&] { download(with_token()); }),
              AllOf(HasSubstr("certificate"), HasSubstr("REQUESTS_CA_BUNDLE")));
  EXPECT_EQ(hub_.requests().size(), 0u);
  EXPECT_EQ(delays_.size(), 0u);
}

TEST_F(TlsTest, TheCacheDoesNotPaperOverACertificate) {
  download(trusting());
  error_of(ErrorCode::network, [&] { download(with_token()); });
}

TEST_F(TlsTest, ABundleMakesItTrusted) {
  EXPECT_EQ(read_file(download(trusting()) / "model.safetensors"), weights().content);
  EXPECT_THAT(messages(), Not(HasSubstr("unencrypted")));
}

TEST_F(TlsTest, ABundleThatIsAbsentIsNamed) {
  HubOptions options = with_token();
  options.ca_bundle = folder_.path() / "none.pem";
  EXPECT_THAT(error_of(ErrorCode::network, [&] { download(options); }), HasSubstr("none.pem"));
}

TEST_F(TlsTest, ARedirectToPlainHttpIsRefused) {
  weights().lfs = true;
  EXPECT_THAT(error_of(ErrorCode::network, [&] { download(trusting()); }),
              HasSubstr("redirects from https to http"));
  for (const auto& request : hub_.requests()) EXPECT_EQ(request.server, "hub");
}

TEST_F(TlsTest, AConnectionThatBreaksIsResumed) {
  std::atomic<int> cuts{0};
  hub_.intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (!ends_with(request.path, "model.safetensors") || cuts++ > 0) return std::nullopt;
    FakeReply reply = hub_.usual(request);
    reply.cut_at = 100'000;
    return reply;
  };
  EXPECT_EQ(read_file(download(trusting()) / "model.safetensors"), weights().content);
  EXPECT_EQ(delays_.size(), 1u);
}

}  // namespace
}  // namespace ferry::hub::test
