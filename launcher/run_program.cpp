#include "launcher/run_program.h"

#include <signal.h>
#include <string.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <new>
#include <string_view>

#include "launcher/commands/commands.h"
#include "launcher/ranks.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

int code(Exit exit) { return static_cast<int>(exit); }

// Everybody on this machine can list the words that a program was started with.
void hide_tokens(int argc, char** argv) {
  constexpr std::string_view before = "?token=";
  for (int i = 1; i < argc; ++i)
    if (char* const found = ::strstr(argv[i], before.data())) {
      char* const token = found + before.size();
      std::fill_n(token, ::strlen(token), '*');
    }
}

}  // namespace

int run_program(int argc, char** argv) {
  signal(SIGXFSZ, SIG_IGN);  // a file at its size limit is then a write that fails, and is told as one
  CLI::App app;
  Chosen chosen;
  try {
    add_commands(app, chosen);
    app.parse(argc, argv);
    hide_tokens(argc, argv);
    return code(chosen());
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = app.exit(error) == 0;
    return code(asked_for_help ? Exit::success : Exit::usage);
  } catch (const AlreadyReported& error) {
    return code(error.exit);
  } catch (const Error& error) {
    log::error(error.what());
    return code(error.exit());
  } catch (const std::bad_alloc&) {
    log::error("the machine's memory is used up");
    return code(Exit::out_of_memory);
  } catch (const std::exception& error) {
    log::error(str("a defect of this program: ", error.what()));
    return code(Exit::internal);
  }
}

}  // namespace tranche
