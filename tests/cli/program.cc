#include "program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace ferry::testing {
namespace {
namespace fs = std::filesystem;

void set_limit(int resource, const std::optional<uint64_t>& bytes) {
  if (!bytes) return;
  const rlimit limit{*bytes, *bytes};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

void redirect(const fs::path& file, int descriptor) {
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(126);
  ::close(opened);
}

// In the child: never returns.
[[noreturn]] void become(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment, const RunOptions& options,
                         const fs::path& folder) {
  redirect(options.out.empty() ? folder / "out" : options.out, STDOUT_FILENO);
  redirect(folder / "err", STDERR_FILENO);
  set_limit(RLIMIT_FSIZE, options.file_size_limit);
  set_limit(RLIMIT_AS, options.memory_limit);
  std::vector<char*> argv, envp;
  for (const auto& text : arguments) argv.push_back(const_cast<char*>(text.c_str()));
  for (const auto& text : environment) envp.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  ::execve(argv.front(), argv.data(), envp.data());
  ::_exit(127);
}

std::vector<std::string> environment_of(const RunOptions& options, const fs::path& home) {
  std::map<std::string, std::string> all{
      {"PATH", "/usr/bin:/bin"}, {"HOME", home.string()}, {"HF_HUB_OFFLINE", "1"}};
  if (const char* library = std::getenv("FERRY_ONNXRUNTIME")) all["FERRY_ONNXRUNTIME"] = library;
  for (const auto& [name, value] : options.environment) all[name] = value;
  std::vector<std::string> out;
  for (const auto& [name, value] : all) out.push_back(name + "=" + value);
  return out;
}

fs::path make_folder() {
  std::string name = (fs::temp_directory_path() / "ferry-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  return name;
}

}  // namespace

Running::Running(const std::vector<std::string>& arguments, const RunOptions& options)
    : folder_(make_folder()) {
  std::vector<std::string> argv{options.program.empty() ? FERRY_PROGRAM : options.program.string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  fs::create_directories(folder_ / "home");
  const auto environment = environment_of(options, folder_ / "home");
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) become(argv, environment, options, folder_);
}

Running::~Running() {
  if (is_running()) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

bool Running::is_running() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return !status_;
}

void Running::send(int signal) const {
  ::kill(pid_, signal);
}

Ran Running::wait() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, 0) == pid_) status_ = status;
  Ran ran;
  if (WIFEXITED(*status_)) ran.code = WEXITSTATUS(*status_);
  if (WIFSIGNALED(*status_)) ran.signal = WTERMSIG(*status_);
  ran.out = read_file(folder_ / "out");
  ran.err = read_file(folder_ / "err");
  return ran;
}

Ran run_ferry(const std::vector<std::string>& arguments, const RunOptions& options) {
  return Running(arguments, options).wait();
}

TemporaryFolder::TemporaryFolder() : path_(make_folder()) {}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path golden(const std::string& name) {
  return fs::path(FERRY_TEST_DATA) / "golden" / name;
}

fs::path copy_of_golden(const std::string& name, const fs::path& folder) {
  fs::create_directories(folder);
  fs::copy(golden(name), folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  return folder;
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_file(const fs::path& file, const std::string& content) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << content;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) out.push_back(entry.path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace ferry::testing
