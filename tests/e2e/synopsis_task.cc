// The script of the synopsis, line by line: it runs inside a task, describes itself, and talks on all its
// streams.

#include <bgtask/bgtask.h>

#include <iostream>
#include <iterator>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  // my $task= RapidApp::BgTask->new($$);
  bgtask::Task task = bgtask::Task::self();

  // $task->applyMeta({ name => 'Hello World', target => $ARGV[0], purpose => 'World Domination' });
  task.apply_meta(
      {{"name", "Hello World"}, {"target", argc > 1 ? argv[1] : ""}, {"purpose", "World Domination"}});

  // print "Hello World";
  std::cout << "Hello World" << std::flush;

  // print STDERR, "Hello World";
  std::cerr << "Hello World";

  // my @lines= <>;
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);)
    lines.push_back(line);
  return static_cast<int>(lines.size());
}
