// Names and answers that strangers wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "hub/cache.h"
#include "hub/failure.h"
#include "hub/hash.h"
#include "hub/headers.h"
#include "hub/model_info.h"
#include "hub/repo_id.h"
#include "hub/retry.h"
#include "hub/url.h"

namespace ferry::hub {
namespace {
using ::testing::HasSubstr;

template <typename Body>
bool throws(ErrorCode code, const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code() == code;
  }
  return false;
}

TEST(RepoId, TakesWhatHuggingfaceHubTakes) {
  for (const char* id : {"foo", "foo/bar", "123", "Foo-BAR_foo.bar123", "_a/_b", "a/b.c", "org_/x"}) {
    EXPECT_NO_THROW(validate_repo_id(id)) << id;
  }
  EXPECT_NO_THROW(validate_repo_id(std::string(96, 'a')));
}

TEST(RepoId, RefusesWhatHuggingfaceHubRefuses) {
  for (const char* id : {"",     "/",  "a/",       "/a",      "datasets/foo/bar", ".repo_id", "repo.",
                         "-a",   "a-", "foo--bar", "foo.git", "other..repo..id",  "a b",      "a/b\n",
                         "a\\b", "..", "../x",     "org/.x",  "org./x",           "a/b/c",    "\xC3\xA9"}) {
    EXPECT_TRUE(throws(ErrorCode::usage, [&] { validate_repo_id(id); })) << id;
  }
  EXPECT_TRUE(throws(ErrorCode::usage, [] { validate_repo_id(std::string(97, 'a')); }));
  EXPECT_TRUE(throws(ErrorCode::usage, [] { validate_repo_id(std::string_view("a\0b", 3)); }));
}

TEST(RepoId, FolderName) {
  EXPECT_EQ(repo_folder_name("org/name"), "models--org--name");
}

TEST(Revision, WhatGitAllows) {
  for (const char* revision :
       {"main", "v1.0", "refs/pr/1", "feature/x-y_z", "0123456", "refs/convert/parquet"}) {
    EXPECT_NO_THROW(validate_revision(revision)) << revision;
  }
  for (const char* revision :
       {"", "../x", "a/../b", "/a", "a/", "a//b", ".hidden", "a b", "a\nb", "a:b", "a..b", "x/.y"}) {
    EXPECT_TRUE(throws(ErrorCode::usage, [&] { validate_revision(revision); })) << revision;
  }
}

TEST(ModelIdText, SplitsTheRevision) {
  EXPECT_EQ(parse_model_id("org/name").revision, "main");
  EXPECT_EQ(parse_model_id("org/name@v1").repo_id, "org/name");
  EXPECT_EQ(parse_model_id("org/name@refs/pr/1").revision, "refs/pr/1");
  EXPECT_EQ(parse_model_id("org/name", "v2").revision, "v2");
  EXPECT_EQ(parse_model_id("org/name@v2", "v2").revision, "v2");
  EXPECT_TRUE(throws(ErrorCode::usage, [] { parse_model_id("org/name@v1", "v2"); }));
  EXPECT_TRUE(throws(ErrorCode::usage, [] { parse_model_id("org/name@"); }));
  EXPECT_TRUE(throws(ErrorCode::usage, [] { parse_model_id("@main"); }));
}

TEST(Etag, IsWhatStandsBetweenTheQuotes) {
  EXPECT_EQ(normalize_etag("\"abc\""), "abc");
  EXPECT_EQ(normalize_etag("W/\"abc\""), "abc");
  EXPECT_EQ(normalize_etag("abc"), "abc");
  EXPECT_EQ(normalize_etag(""), "");
}

TEST(ContentRangeHeader, Parses) {
  const auto range = parse_content_range("bytes 5-9/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 5u);
  EXPECT_EQ(range->last, 9u);
  EXPECT_EQ(range->total, 10u);
  EXPECT_FALSE(parse_content_range("bytes 0-1/*")->total);
  for (const char* text : {"", "bytes", "bytes 5-9", "bytes 9-5/10", "bytes -9/10", "bytes */10",
                           "items 1-2/3", "bytes 1-99999999999999999999/3", "bytes 1-2/x"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

TEST(RetryAfter, SecondsOrADate) {
  EXPECT_EQ(parse_retry_after("7"), std::chrono::seconds(7));
  EXPECT_EQ(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), std::chrono::seconds(0));
  EXPECT_GT(parse_retry_after("Wed, 21 Oct 2065 07:28:00 GMT"), std::chrono::hours(24));
  EXPECT_FALSE(parse_retry_after("soon"));
  EXPECT_FALSE(parse_retry_after(""));
}

TEST(Backoff, DoublesWithJitterAndHasALimit) {
  using std::chrono::milliseconds;
  EXPECT_EQ(backoff_delay(1, 0, {}), milliseconds(1000));
  EXPECT_EQ(backoff_delay(2, 0, {}), milliseconds(2000));
  EXPECT_EQ(backoff_delay(2, 1, {}), milliseconds(1000));
  EXPECT_EQ(backoff_delay(99, 0, {}), milliseconds(8000));
  EXPECT_GE(backoff_delay(1, 1, std::chrono::seconds(30)), std::chrono::seconds(30));
}

TEST(HeadersOfAnAnswer, TheLastStatusLineCounts) {
  Headers headers;
  headers.add_line("HTTP/1.1 103 Early Hints\r\n");
  headers.add_line("ETag: \"early\"\r\n");
  headers.add_line("HTTP/1.1 200 OK\r\n");
  headers.add_line("etag:  \"late\" \r\n");
  headers.add_line("no colon\r\n");
  EXPECT_EQ(headers.get("ETag"), "\"late\"");
  EXPECT_EQ(headers.get("absent"), "");
  for (int i = 0; i < 10'000; ++i) headers.add_line("a: b");
  EXPECT_LE(headers.size(), 200u);
}

TEST(Metadata, PrefersTheLinkedFile) {
  Response response{302, "http://h/x", {}};
  for (const char* line : {"X-Repo-Commit: 0123456789abcdef0123456789abcdef01234567", "ETag: \"00112233\"",
                           "X-Linked-Etag: \"aabbccddee\"", "X-Linked-Size: 12", "Content-Length: 99"}) {
    response.headers.add_line(line);
  }
  const FileMetadata metadata = parse_file_metadata(response, "f");
  EXPECT_EQ(metadata.etag, "aabbccddee");
  EXPECT_EQ(metadata.size, 12u);
  response.headers = {};
  EXPECT_TRUE(throws(ErrorCode::network, [&] { parse_file_metadata(response, "f"); }));
}

TEST(Urls, Origins) {
  EXPECT_EQ(origin_of("https://HOST/x"), (Origin{"https", "host", "443"}));
  EXPECT_EQ(origin_of("http://host.:80"), origin_of("http://host/path?q"));
  EXPECT_NE(origin_of("http://host"), origin_of("https://host"));
  EXPECT_NE(origin_of("http://host:1"), origin_of("http://host:2"));
  EXPECT_NE(origin_of("http://hub.co"), origin_of("http://hub.co.evil"));
}

TEST(Urls, ResolveRelativeOnes) {
  EXPECT_EQ(resolve_url("https://h/a/b?c", "/d?e"), "https://h/d?e");
  EXPECT_EQ(resolve_url("https://h/a", "//other/x"), "https://other/x");
  EXPECT_EQ(resolve_url("https://h/a", "http://o/p"), "http://o/p");
  for (const char* location : {"file:///etc/passwd", "https://user:pw@h/", "ftp://h/", "gopher://h/"}) {
    EXPECT_TRUE(throws(ErrorCode::network, [&] { resolve_url("https://h/a", location); })) << location;
  }
}

TEST(Urls, QuoteAndDisplay) {
  EXPECT_EQ(quote("a b/c+d%", true), "a%20b/c%2Bd%25");
  EXPECT_EQ(quote("refs/pr/1", false), "refs%2Fpr%2F1");
  EXPECT_EQ(display_url("https://u:p@host/path?signature=1"), "https://host/path");
  EXPECT_EQ(clean_endpoint("http://h:1/mirror//"), "http://h:1/mirror");
}

TEST(Hashes, AreGitsAndSha256) {
  Hasher git = Hasher::git_blob(6);
  git.update("hello\n");
  EXPECT_EQ(git.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");
  Hasher sha = Hasher::sha256();
  EXPECT_EQ(sha.finish(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hasher::for_etag("00112233", 1).finish(), "");
}

TEST(ModelInfoAnswer, ReadsSizesAndHashes) {
  const ModelInfo info =
      parse_model_info(R"({"id": "a/b", "sha": "0123456789abcdef0123456789abcdef01234567", "gated": "auto",
    "private": true, "pipeline_tag": "fill-mask", "siblings": [
      {"rfilename": "config.json", "size": 5, "blobId": "ce013625030ba8dba906f756967f9e9ca394464a"},
      {"rfilename": "x/model.safetensors", "size": 134, "blobId": "ce013625030ba8dba906f756967f9e9ca394464a",
       "lfs": {"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 1000}},
      {"rfilename": "README.md"}]})",
                       "answer");
  EXPECT_TRUE(info.gated);
  EXPECT_TRUE(info.is_private);
  ASSERT_EQ(info.siblings.size(), 3u);
  EXPECT_EQ(info.find("x/model.safetensors")->size, 1000u);
  EXPECT_EQ(info.find("x/model.safetensors")->etag.size(), 64u);
  EXPECT_EQ(info.find("config.json")->etag.size(), 40u);
  EXPECT_FALSE(info.find("README.md")->size);
  EXPECT_EQ(info.find("none"), nullptr);
}

TEST(ModelInfoAnswer, RefusesWhatCannotBe) {
  const auto with = [](const std::string& siblings) {
    return R"({"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": )" + siblings + "}";
  };
  EXPECT_NO_THROW(parse_model_info(with("[]"), "answer"));
  for (const std::string& text :
       {std::string("[]"), std::string("{}"), std::string("\"x\""), std::string("{\"sha\": 5}"), with("{}"),
        with("[5]"), with("[{}]"), with(R"([{"rfilename": "../x"}])"),
        with(R"([{"rfilename": "a", "size": -1}])"), with(R"([{"rfilename": "a", "size": 1.5}])"),
        with(R"([{"rfilename": "a"}, {"rfilename": "a"}])"), std::string(100, '[')}) {
    EXPECT_TRUE(throws(ErrorCode::network, [&] { parse_model_info(text, "answer"); })) << text;
  }
}

TEST(Refs, HoldOneCommit) {
  const std::string commit(40, 'a');
  EXPECT_EQ(parse_ref(commit), commit);
  EXPECT_EQ(parse_ref(commit + "\n"), commit);
  for (const std::string& text : {std::string(), std::string("\n"), std::string("../.."),
                                  std::string(39, 'a'), std::string(40, 'A'), commit + "\n" + commit}) {
    EXPECT_FALSE(parse_ref(text)) << text;
  }
}

}  // namespace
}  // namespace ferry::hub
