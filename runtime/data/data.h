// From text to batches: tokenizers, token files, and the order in which a run sees their samples.
#pragma once

#include "runtime/data/batch_order.h"     // which samples a step sees, and reading them
#include "runtime/data/token_file.h"      // the ids of a text in HDF5, with their tokenizer
#include "runtime/data/tokenize_files.h"  // text files to a token file
#include "runtime/data/tokenizer.h"       // text to ids and back
