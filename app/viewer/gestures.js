// 'prompt' 'action'
