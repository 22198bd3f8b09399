// delegate GROUP: marks a control group as delegated, as systemd does. Static, for limits-in-a-vm.
#include <sys/xattr.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc == 2 && ::setxattr(argv[1], "user.delegate", "1", 1, 0) == 0) return 0;
  std::perror("delegate");
  return 1;
}
