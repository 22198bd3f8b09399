// <sys/pidfd.h> for C++: glibc 2.36's lacks the declaration of C linkage (added in 2.37).
#pragma once

extern "C" {
#include <sys/pidfd.h>
}
