// libyaml. No code of ours.
#include <yaml.h>
