// `search_probe POOL PATTERN TIMES`: searches a pool by a JSON pattern through the library. Prints how many
// tasks were found and the median of the seconds a search took.
#include <bgtask/bgtask.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const bgtask::TaskPool pool(argv[1]);
  const bgtask::Json pattern = bgtask::Json::parse(argv[2]);
  std::vector<double> took(static_cast<size_t>(std::max(1, std::atoi(argv[3]))));
  size_t found = 0;
  for (double& seconds : took) {
    const auto begin = std::chrono::steady_clock::now();
    found = pool.search(pattern).size();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  std::sort(took.begin(), took.end());
  std::printf("%zu %.9f\n", found, took[took.size() / 2]);
}
