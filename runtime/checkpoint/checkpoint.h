// Checkpoints: saving, loading on any number of ranks, verifying, and the digest of the logical state.
#pragma once

#include "runtime/checkpoint/background.h"  // saving beside the steps
#include "runtime/checkpoint/digest.h"      // digest, inspect
#include "runtime/checkpoint/directory.h"   // the names in a directory; the newest complete checkpoint
#include "runtime/checkpoint/history.h"     // the running hash of losses and norms
#include "runtime/checkpoint/load.h"        // load, load_newest
#include "runtime/checkpoint/manifest.h"    // what a checkpoint folder holds
#include "runtime/checkpoint/peers.h"       // ranks that come to one outcome
#include "runtime/checkpoint/save.h"        // save
#include "runtime/checkpoint/state.h"       // what is saved
#include "runtime/checkpoint/verify.h"      // is every byte as it was written?
