// Says which supervisor a program in this place would start, or why none.
#include <cstdio>

#include "pool/src/supervisor_path.h"

int main() {
  bgtask::Result<std::string> found = bgtask::find_supervisor();
  std::puts(found ? found->c_str() : found.error().message.c_str());
  return found ? 0 : 1;
}
