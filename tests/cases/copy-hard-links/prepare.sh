ln dir/first dir/second
