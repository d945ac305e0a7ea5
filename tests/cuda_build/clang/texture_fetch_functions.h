// Nothing. clang 19 includes a header of this name, which CUDA 13 has no more.
#pragma once
