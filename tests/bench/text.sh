#!/bin/bash
# Text to train on that every checkout has: its own sources and pages.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
find runtime partition amp launcher docs tests -name '*.h' -o -name '*.cpp' -o -name '*.md' | LC_ALL=C sort | xargs cat
