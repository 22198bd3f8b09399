/// \file
/// All of the library: tasks, streams, pools, many tasks at once, errors.
#pragma once

#include <bgtask/error.h>
#include <bgtask/stream.h>
#include <bgtask/task.h>
#include <bgtask/task_pool.h>
#include <bgtask/watch.h>
