// gtest's main, on a private machine. Only listing the cases needs none.
#include <gtest/gtest.h>

#include "tests/faults/private_machine.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  return bgtask::faults::in_private_machine([] { return RUN_ALL_TESTS(); });
}
