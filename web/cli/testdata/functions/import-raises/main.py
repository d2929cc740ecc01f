raise RuntimeError('не сегодня')
