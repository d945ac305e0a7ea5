// The program, as main calls it, and so tests that break something inside of it.
#pragma once

namespace tranche {

// Does what the command line says. Errors unwind to here and become one message and an exit code (docs/errors.md),
// which is returned.
int run_program(int argc, char** argv);

}  // namespace tranche
