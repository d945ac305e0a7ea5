// The program.
#include "launcher/run_program.h"

int main(int argc, char** argv) { return tranche::run_program(argc, argv); }
