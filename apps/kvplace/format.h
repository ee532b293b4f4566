/// Numbers for people.
#pragma once

#include "kvplace/base/short_text.h"
