// Removing a task's directory: the one way for the supervisor, for clients of a dead task and for gc.
#pragma once

#include <string>

#include "protocol/wire/result.h"

namespace bgtask::taskdir {

/// An open task directory and its place in the pool. `directory` is open for reading; its position is the
/// caller's alone. Borrows both descriptors.
struct Place {
  int pool;
  int directory;
  std::string name;  ///< in the pool; remove() keeps it up to date
};

/// Whether the name still is this directory's: somebody may have removed or moved it, or have put something
/// else there.
Result<bool> in_place(const Place& place);

/// Renames the directory to a hidden name, deletes the files in it (never following a link, never going
/// deeper; the lock last, so that remains can be told from a directory that is being made), then the
/// directory. The caller holds the lock, or knows that nobody can.
/// A name that is another directory's is left alone; then only the files are deleted. Where a file cannot be
/// deleted the directory gets its name back, so that its owner finds it and may try again.
Status remove(Place& place);

}  // namespace bgtask::taskdir
