#include "hub/repo_id.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ferry::hub {
namespace {

constexpr size_t kLongestName = 96;
constexpr size_t kLongestRevision = 250;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

[[noreturn]] void refuse(std::string_view repo_id, std::string_view why) {
  throw Error(ErrorCode::usage, fmt::format("\"{}\" is not a model's id: {}", printable(repo_id, 120), why))
      .with_hint("an id reads \"org/name\" or \"name\"; a local folder must exist");
}

void validate_part(std::string_view repo_id, std::string_view part, size_t longest) {
  if (part.empty()) refuse(repo_id, "a part of it is empty");
  if (part.size() > longest) refuse(repo_id, fmt::format("a name has at most {} characters", longest));
  if (!std::all_of(part.begin(), part.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; })) {
    refuse(repo_id, "only letters, digits, '-', '_' and '.' are allowed");
  }
  if (!is_word(part.front()) || !is_word(part.back()))
    refuse(repo_id, "a name cannot start or end with '-' or '.'");
}

}  // namespace

void validate_repo_id(std::string_view repo_id) {
  const size_t slash = repo_id.find('/');
  if (slash != std::string_view::npos) {
    if (repo_id.find('/', slash + 1) != std::string_view::npos) refuse(repo_id, "it has more than one '/'");
    // The Hub sets no limit to an organization's name; a folder name in the cache has one.
    validate_part(repo_id, repo_id.substr(0, slash), 2 * kLongestName);
  }
  validate_part(repo_id, slash == std::string_view::npos ? repo_id : repo_id.substr(slash + 1), kLongestName);
  if (repo_id.find("--") != std::string_view::npos || repo_id.find("..") != std::string_view::npos) {
    refuse(repo_id, "it cannot hold \"--\" or \"..\"");
  }
  if (ends_with(repo_id, ".git")) refuse(repo_id, "it cannot end in \".git\"");
}

void validate_revision(std::string_view revision) {
  const auto refuse_revision = [&](std::string_view why) {
    throw Error(ErrorCode::usage, fmt::format("\"{}\" is not a revision: {}", printable(revision, 120), why))
        .with_hint("a revision is a branch, a tag or a commit id");
  };
  if (revision.empty()) refuse_revision("it is empty");
  if (revision.size() > kLongestRevision) refuse_revision("it is too long");
  constexpr std::string_view kForbidden = " ~^:?*[\\";
  if (std::any_of(revision.begin(), revision.end(), [&](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F ||
               kForbidden.find(c) != std::string_view::npos;
      })) {
    refuse_revision("it holds a character that git forbids");
  }
  for (const auto& part : split(revision, '/')) {
    if (part.empty()) refuse_revision("a part of it is empty");
    if (part.front() == '.') refuse_revision("a part of it starts with '.'");
  }
  if (revision.find("..") != std::string_view::npos) refuse_revision("it holds \"..\"");
}

ModelId parse_model_id(std::string_view text, std::string_view revision) {
  ModelId id;
  const size_t at = text.find('@');
  id.repo_id = std::string(text.substr(0, at));
  validate_repo_id(id.repo_id);
  id.revision = std::string(revision.empty() ? kDefaultRevision : revision);
  if (at != std::string_view::npos) {
    const std::string_view written = text.substr(at + 1);
    validate_revision(written);
    if (!revision.empty() && revision != written) {
      throw Error(ErrorCode::usage, fmt::format("the model's id asks for revision {}, --revision for {}",
                                                printable(written, 80), printable(revision, 80)));
    }
    id.revision = std::string(written);
  }
  validate_revision(id.revision);
  return id;
}

std::string repo_folder_name(std::string_view repo_id) {
  std::string out = "models--";
  for (const char c : repo_id) {
    if (c == '/') {
      out += "--";
    } else {
      out += c;
    }
  }
  return out;
}

bool is_commit_hash(std::string_view text) {
  return text.size() == 40 && is_hex(text);
}

bool is_blob_name(std::string_view text) {
  return text.size() >= 8 && text.size() <= 128 && is_hex(text);
}

}  // namespace ferry::hub
