/// \file
/// All of the library: tasks, streams, pools, errors.
#pragma once

#include <bgtask/error.h>
#include <bgtask/stream.h>
#include <bgtask/task.h>
#include <bgtask/task_pool.h>
