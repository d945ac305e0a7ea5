#include "launcher/supervisor/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/base/error.h"

extern char** environ;

namespace tranche {
namespace {

struct Attributes {
  posix_spawnattr_t how{};
  posix_spawn_file_actions_t files{};

  explicit Attributes(int output) {
    ::posix_spawnattr_init(&how);
    ::posix_spawn_file_actions_init(&files);
    // Signals as a shell would leave them, whatever this process does with its own.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&how, &none);
    ::posix_spawnattr_setsigdefault(&how, &all);
    ::posix_spawnattr_setpgroup(&how, 0);
    ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  }
  ~Attributes() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&how);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

void kill_children() {
  for (const auto& thread : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream children{thread.path() / "children"};
    for (pid_t child = 0; children >> child;) ::kill(child, SIGKILL);
  }
}

}  // namespace

Process::Process(const std::vector<std::string>& words, int output) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const Attributes attributes{output};
  const int error =
      ::posix_spawnp(&pid_, arguments.front(), &attributes.files, &attributes.how, arguments.data(), environ);
  ensure(Exit::usage, error == 0, words.front(), " cannot be started: ", ::strerror(error));
}

Process::~Process() {
  if (!ended()) signal(SIGTERM);
}

std::optional<int> Process::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

void Process::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

void adopt_orphans() { check(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "prctl: ", ::strerror(errno)); }

void outlive_children(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (::waitpid(-1, nullptr, WNOHANG) != -1) {  // -1: there is none
    if (std::chrono::steady_clock::now() >= deadline) kill_children();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

}  // namespace tranche
