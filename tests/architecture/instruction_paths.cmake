# cmake -D NM=nm -D PATH_NAME=avx2 -D OBJECTS=list.txt -P instruction_paths.cmake
# Objects compiled for a wider instruction set share no symbol with the rest of the program. The linker keeps one copy of
# an inline function that several objects define; were it the wide one, the program would die on an older processor.
# (Weak data, which is no code, may be shared.)
execute_process(COMMAND ${NM} --defined-only --extern-only --demangle --format=posix @${OBJECTS}
                OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+ [Ww] [^\n]*" weak "${symbols}")
list(FILTER weak EXCLUDE REGEX "tranche::ops::${PATH_NAME}::")
if(weak)
  list(JOIN weak "\n  " weak)
  message(NOTICE "functions that others may share, in objects of the instruction path ${PATH_NAME}:\n  ${weak}")
  message(FATAL_ERROR "shared code")
endif()
string(REGEX MATCH "tranche::ops::${PATH_NAME}::" own "${symbols}")
if(NOT own)
  message(FATAL_ERROR "no symbol of tranche::ops::${PATH_NAME} in ${OBJECTS}: is the list right?")
endif()
