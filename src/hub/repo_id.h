#pragma once
// The names by which a model on the Hub is known, and the shapes that they must have before they become part
// of an address or of a path.
#include <string>
#include <string_view>

namespace ferry::hub {

inline constexpr std::string_view kDefaultRevision = "main";

/// A model on the Hub, as a user writes it.
struct ModelId {
  std::string repo_id;   ///< "org/name", or "name" for the oldest models.
  std::string revision;  ///< A branch, a tag, "refs/pr/1" or a commit; "main" if the user gave none.
};

/// Checks a repository id: "name" or "org/name" of ASCII letters, digits, '-', '_' and '.'; no part begins or
/// ends with
/// '-' or '.'; no "--", no ".."; the name has at most 96 characters and does not end in ".git".
/// Errors: Error{usage} that says which rule it breaks.
/// Source: huggingface_hub 0.36.2, utils/_validators.py:validate_repo_id (which takes letters of any
/// alphabet).
void validate_repo_id(std::string_view repo_id);

/// Checks a revision: what git allows in a name, and nothing that could leave the folder refs/.
/// Errors: Error{usage}.
void validate_revision(std::string_view revision);

/// Splits "org/name@revision" and checks both parts. `revision`, where not empty, is what --revision said; it
/// may repeat what follows the '@', never contradict it. Whether a local folder of that name exists is the
/// caller's to ask first. Errors: Error{usage}.
ModelId parse_model_id(std::string_view text, std::string_view revision = {});

/// "models--org--name", the folder of a repository in the cache.
std::string repo_folder_name(std::string_view repo_id);

/// True for 40 lower-case hexadecimal digits: a whole commit id, which no branch can be.
bool is_commit_hash(std::string_view text);

/// True if `text` is hexadecimal, lower case, with 8 to 128 digits: what may name a blob.
bool is_blob_name(std::string_view text);

}  // namespace ferry::hub
